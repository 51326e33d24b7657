"""Tokens with features, from the equations to the export.

Sennrich & Haddow 2016, equation 1: what the encoder reads of a token are the
embeddings of its features, side by side.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import (
    Decoder,
    Encoder,
    Ensemble,
    MaskedCrossentropy,
    Seq2Seq,
)
from keras_recurrent.models.token_features import feature_ids
from tests.oracles import thorough

V, E, U = 9, 3, 4
SIZES, DIMS = [6, 8], [2, 1]
IDS = np.array([[4, 5, 6], [7, 0, 0]])
FEATURES = np.array([[[4, 7], [5, 6], [4, 1]], [[5, 7], [0, 0], [0, 0]]])
SOURCE = {"source": IDS, "features": FEATURES}
INPUTS = {**SOURCE, "target": np.array([[2, 4, 5], [2, 6, 0]])}
LABELS = np.array([[4, 5, 3], [6, 3, 0]])
OTHER = np.where(FEATURES == 4, 5, FEATURES)


def encoder(**options):
    return Encoder(
        V,
        E,
        U,
        "simple_rnn",
        feature_sizes=SIZES,
        feature_dims=DIMS,
        **options,
    )


def model(**options):
    return Seq2Seq(encoder(), Decoder(V, E, U, "simple_rnn", **options))


def test_equations(seed):
    one = encoder(bidirectional=False)
    memory, summary = one(IDS, mask=IDS != 0, features=FEATURES)
    tables = [
        layer.get_weights()[0]
        for layer in (one.embedding, *one.feature_embeddings)
    ]
    assert [table.shape for table in tables] == [(9, 3), (6, 2), (8, 1)]
    kernel, recurrent, bias = one.forward_layers[0].cell.get_weights()
    for b, length in enumerate((3, 1)):
        state = np.zeros(U)
        for t in range(length):
            columns = (IDS[b, t], *FEATURES[b, t])
            x = np.concatenate(
                [table[i] for table, i in zip(tables, columns, strict=True)]
            )
            state = np.tanh(x @ kernel + state @ recurrent + bias)
            np.testing.assert_allclose(memory[b, t], state, atol=1e-5)
        np.testing.assert_allclose(summary[b], state, atol=1e-5)


@pytest.mark.parametrize(
    "options", [{}, thorough({"query": "new_state"})], ids=str
)
def test_it_trains_decodes_and_loads(seed, tmp_path, options):
    one = model(**options)
    one.compile(keras.optimizers.Adam(0.02), MaskedCrossentropy())
    one.build()
    tables = one.encoder.feature_embeddings
    before = [table.get_weights()[0] for table in tables]
    losses = one.fit(INPUTS, LABELS, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    for number, table in enumerate(tables):
        moved = (table.get_weights()[0] != before[number]).any(1)
        occur = FEATURES[..., number][IDS != 0]
        assert set(np.flatnonzero(moved)) == set(occur)
    found = one.generate(SOURCE, beam_width=2, max_length=4)
    scored = one.score(SOURCE, found.ids)
    np.testing.assert_allclose(scored.log_probs, found.log_probs, atol=1e-4)
    other = one.score({**SOURCE, "features": OTHER}, found.ids)
    assert np.abs(other.log_probs - found.log_probs).max() > 1e-3
    both = Ensemble([one, one]).score(SOURCE, found.ids)
    np.testing.assert_allclose(both.log_probs, found.log_probs, atol=1e-4)
    drawn = one.sample(SOURCE, seed=1, num_samples=2, max_length=4)
    assert drawn.ids.shape == (2, 2, 4)
    # Padding changes nothing, nor do features of padding.
    padded = {
        "source": np.pad(IDS, [[0, 0], [0, 4]]),
        "features": np.pad(
            FEATURES, [[0, 0], [0, 4], [0, 0]], constant_values=3
        ),
    }
    again = one.generate(padded, 2, 4)
    np.testing.assert_allclose(again.log_probs, found.log_probs, atol=1e-5)
    one.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(INPUTS), one(INPUTS), atol=1e-5)
    one.export(tmp_path / "export", verbose=False)
    served = tf.saved_model.load(tmp_path / "export")
    inputs = {k: tf.constant(v, tf.int32) for k, v in INPUTS.items()}
    np.testing.assert_allclose(served.serve(inputs), one(INPUTS), atol=1e-5)


def test_rows_may_be_lists_or_ragged(seed):
    one = model()
    lists = {
        "source": [[4, 5, 6], [7]],
        "features": [[[4, 7], [5, 6], [4, 1]], [[5, 7]]],
    }
    ragged = {
        "source": tf.ragged.constant(lists["source"]),
        "features": tf.ragged.constant(lists["features"], ragged_rank=1),
    }
    expected = one.generate(SOURCE, max_length=4)
    for source in (lists, ragged):
        found = one.generate(source, max_length=4)
        np.testing.assert_allclose(found.log_probs, expected.log_probs)
    one.compile("sgd", MaskedCrossentropy())
    inputs = {**ragged, "target": INPUTS["target"]}
    batches = tf.data.Dataset.from_tensors((inputs, LABELS))
    history = one.fit(batches, shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"])


def test_with_copying_a_second_source_scheduled_sampling_and_dropout(seed):
    one = Seq2Seq(
        [encoder(embedding_dropout=0.1), Encoder(V, E, U, "simple_rnn")],
        Decoder(V, E, U, "simple_rnn", num_sources=2, copying=True),
        sampling_probability=0.5,
    )
    source = {**SOURCE, "copies": IDS, "source_2": IDS}
    one.compile("sgd", MaskedCrossentropy())
    one.fit({**INPUTS, **source}, LABELS, verbose=0)
    found = one.generate(source, max_length=4)
    assert found.copied.shape == (2, 1, 4)
    other = one.score({**source, "features": OTHER}, found.ids)
    assert np.abs(other.log_probs - found.log_probs).max() > 1e-4


# What Keras says of the cells and of attention.
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`")
def test_quantized_features_are_loaded(seed, tmp_path):
    one = model()
    one.build()
    one.quantize("int8")
    one.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.encoder.feature_embeddings[1].quantization_mode == "int8"
    np.testing.assert_allclose(loaded(INPUTS), one(INPUTS), atol=1e-5)


def test_ids_outside_of_a_vocabulary_are_refused():
    one = model()
    wrong = FEATURES.copy()
    wrong[0, 0, 0] = 6  # as many as there are; the other feature has more
    with pytest.raises(ValueError, match=r"features\[:, :, 0\].* 0 to 5"):
        one.generate({"source": IDS, "features": wrong})
    one.compile("sgd", MaskedCrossentropy())
    inputs = {**INPUTS, "features": wrong}
    with pytest.raises(ValueError, match=r"Features \(:, :, 0\).* 0 to 5"):
        one.fit(inputs, LABELS, verbose=0)


def test_what_does_not_belong_together():
    with pytest.raises(ValueError, match="as many of both"):
        Encoder(V, E, U, feature_sizes=[5], feature_dims=[])
    with pytest.raises(ValueError, match="must be positive"):
        Encoder(V, E, U, feature_sizes=[5], feature_dims=[0])
    with pytest.raises(ValueError, match="Only the first encoder"):
        Seq2Seq([Encoder(V, E, U), encoder()], Decoder(V, E, U, num_sources=2))
    plain = Seq2Seq(Encoder(V, E, U), Decoder(V, E, U))
    with pytest.raises(ValueError, match="the same `feature_sizes`"):
        Ensemble([model(), plain])
    with pytest.raises(ValueError, match="Received: none, and"):
        encoder()(IDS)
    with pytest.raises(ValueError, match="Received: features, and"):
        Encoder(V, E, U)(IDS, features=FEATURES)
    with pytest.raises(ValueError, match="source, features, each"):
        model().generate(IDS)
    for features in (FEATURES[..., :1], FEATURES[:, :2], IDS):
        with pytest.raises(ValueError, match=r"`features` must be"):
            model().generate({"source": IDS, "features": features})
    with pytest.raises(ValueError, match="each with as many integers"):
        feature_ids([[[4, 5], [4]]], np.array([[4, 5]]), SIZES)
