"""What may be given as token ids, and what is said of the rest."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import (
    Decoder,
    Encoder,
    MaskedCrossentropy,
    Seq2Seq,
)
from keras_recurrent.models.token_ids import token_ids

V = 12
ROWS = [[4, 5, 6], [7, 8]]
PADDED = np.array([[4, 5, 6], [7, 8, 0]], "int32")
FORMS = {
    "lists": lambda: ROWS,
    "tuples": lambda: tuple(map(tuple, ROWS)),
    "list of arrays": lambda: [np.array(row) for row in ROWS],
    "list of tensors": lambda: [tf.constant(row) for row in ROWS],
    "array of lists": lambda: np.array(ROWS, object),
    "ragged": lambda: tf.ragged.constant(ROWS),
    **{
        name: lambda name=name: PADDED.astype(name)
        for name in ("uint8", "int16", "int64", "uint64")
    },
    "tensor": lambda: tf.constant(PADDED, tf.int64),
    "variable": lambda: tf.Variable(PADDED),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    ids = token_ids("source", FORMS[form](), V)
    assert ids.dtype == tf.int32
    np.testing.assert_array_equal(ids, PADDED)


def test_forms_of_three_axes_and_of_empty_rows():
    given = [[[4], [5, 6]], [[7, 8, 9]]]
    ids = token_ids("target", given, V, ranks=(2, 3))
    expected = [[[4, 0, 0], [5, 6, 0]], [[7, 8, 9], [0, 0, 0]]]
    np.testing.assert_array_equal(ids, expected)
    assert token_ids("source", [[], []], V).shape == (2, 0)
    assert token_ids("source", np.zeros((0, 3), "int32"), V).shape == (0, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (PADDED.astype("float32"), "integers of rank 2.*float32 of shape"),
        ([[4.0, 5.0]], "integers of rank 2.*float32"),
        (PADDED != 0, "integers of rank 2.*bool"),
        (["ab", "c"], "integers of rank 2.*string"),
        (PADDED[0], r"rank 2.*int32 of shape \(3,\)"),
        ([4, 5], r"rank 2.*of shape \(2,\)"),
        ([4, [5]], r"rows of integers.*\[4, \[5\]\]"),
        (7, "rows of integers.*7"),
        ([[4, 12]], "from 0 to 11, as the vocabulary has 12.*from 4 to 12"),
        ([[-1, 3]], "from -1 to 3"),
        (np.array([[2**32]]), "from 4294967296"),
    ],
)
def test_what_is_refused(given, message):
    with pytest.raises(ValueError, match=f"`source` must.*{message}"):
        token_ids("source", given, V)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(7)
    model = Seq2Seq(Encoder(V, 5, 6), Decoder(V + 2, 5, 6))
    model.build()
    return model


def test_methods_take_rows_and_refuse_the_rest(model):
    expected = model.score(PADDED, [[5, 3, 0], [4, 9, 3]])
    found = model.score(ROWS, tf.ragged.constant([[5, 3], [4, 9, 3]]))
    for name, value in expected._asdict().items():
        np.testing.assert_array_equal(getattr(found, name), value)
    expected = model.generate(PADDED, max_length=2)
    found = model.generate(ROWS, max_length=2)
    np.testing.assert_array_equal(found.ids, expected.ids)
    outside = [[4, V]]
    for use in (
        lambda: model.generate(outside),
        lambda: model.sample(outside, seed=1),
        lambda: model.score(outside, [[4]]),
        lambda: model.start(outside),
    ):
        with pytest.raises(ValueError, match="`source` must.*has 12.*to 12"):
            use()
    with pytest.raises(ValueError, match="`target` must.*has 14.*to 14"):
        model.score([[4]], [[V + 2]])


def test_fit_takes_ragged_tensors(model):
    inputs = {"source": PADDED, "target": PADDED}
    ragged = {name: tf.ragged.constant(ROWS) for name in inputs}
    model.compile("sgd", MaskedCrossentropy(), run_eagerly=True)
    expected = model.evaluate(inputs, PADDED, verbose=0)
    labels = tf.ragged.constant(ROWS)
    found = model.evaluate(ragged, labels, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(model(ragged), model(inputs), atol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((PADDED, PADDED), 'must be {"source".*Received: tuple'),
        ({"source": PADDED}, r"must be {.*Received: \['source'\]"),
        (
            {"source": PADDED.astype("float32"), "target": PADDED},
            "`source` must be integers.*float32",
        ),
        (
            {"source": PADDED, "target": PADDED[:, 0]},
            r"`target` must be integers of rank 2.*\(2,\)",
        ),
    ],
)
def test_fit_says_what_it_takes(inputs, message, model):
    model.compile("sgd", MaskedCrossentropy(), run_eagerly=True)
    with pytest.raises(ValueError, match=message):
        model.fit(inputs, PADDED, verbose=0)
    with pytest.raises(ValueError, match=message):
        model(inputs)
