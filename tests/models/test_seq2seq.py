"""Encoder, decoder and the whole model.

Tests `decoder.py`, `embedding.py`, `encoder.py` and `generation.py`.
"""

import itertools

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.models import (
    Constraints,
    Decoder,
    Encoder,
    MaskedAccuracy,
    MaskedCrossentropy,
    Seq2Seq,
    ensemble,
    score_target,
)
from tests.oracles import assert_close, thorough, tried

START, END, V = 2, 3, 12
VARIANTS = {
    "gru": {},
    "lstm_stack": {"cell": "lstm", "num_layers": 2},
    "simple_rnn": {"cell": "simple_rnn"},
    "new_state": {"query": "new_state"},
    "input_feeding": {"query": "new_state", "input_feeding": True},
    "luong": {"query": "new_state", "attention": "luong"},
    "both": {"query": "previous_state", "input_feeding": True},
    "conditional": {
        "query": "conditional",
        "cell": "lstm",
        "deep_output": True,
        "output_size": 4,
    },
}


def build(variant="gru", units=6, **kwargs):
    options = dict(VARIANTS.get(variant, {"cell": variant}))
    shared = {
        key: options[key] for key in ("cell", "num_layers") if key in options
    }
    policy = kwargs.pop("dtype", None)
    model = Seq2Seq(
        Encoder(V, 5, units, dtype=policy, **shared, **kwargs),
        Decoder(V, 5, units, dtype=policy, **options),
        START,
        END,
        dtype=policy,
    )
    model.build()
    return model


def reversal(count, longest=5, seed=0):
    """Sources and their reversals, padded: inputs and labels."""
    rng = np.random.default_rng(seed)
    width = longest + 1
    source = np.zeros((count, width), "int32")
    target, labels = source.copy(), source.copy()
    for row, length in enumerate(rng.integers(1, longest + 1, count)):
        tokens = rng.integers(4, V, length)
        source[row, :length] = tokens
        labels[row, :length] = tokens[::-1]
        labels[row, length] = END
        target[row, 0] = START
        target[row, 1 : length + 1] = tokens[::-1]
    return {"source": source, "target": target}, labels


@pytest.mark.parametrize(
    "variant",
    [
        *VARIANTS,
        # And cells with states of other kinds, numbers or sizes.
        "lru",
        "qrnn",
        *(thorough(name) for name in ("mlstm", "nas", "slstm")),
    ],
)
def test_teacher_forcing_is_step_by_step(variant, seed):
    model = build(variant)
    inputs, _ = reversal(4)
    mask = inputs["source"] != 0
    memory, summary = model.encoder(inputs["source"], mask=mask)
    prepared, start = model.decoder.start(memory, summary, mask)
    whole = model(inputs)
    trained = tf.function(lambda inputs: model(inputs, training=True))(inputs)
    assert_close(trained, whole)
    for table in (None, model.decoder.input_table()):
        state = start
        for t in range(inputs["target"].shape[1]):
            logits, alignments, state = model.decoder.step(
                inputs["target"][:, t], state, prepared, table
            )
            np.testing.assert_allclose(whole[:, t], logits, atol=1e-5)
            np.testing.assert_allclose(
                tf.reduce_sum(alignments, 1), np.ones(4), atol=1e-5
            )
            assert not alignments.numpy()[~mask].any()


def test_the_previous_state_asks(seed):
    """At the first step, attention is that of the initial state."""
    model = build()
    inputs, _ = reversal(4)
    mask = inputs["source"] != 0
    memory, summary = model.encoder(inputs["source"], mask=mask)
    prepared, state = model.decoder.start(memory, summary, mask)
    _, alignments, _ = model.decoder.step(
        inputs["target"][:, 0], state, prepared
    )
    _, expected = model.decoder.attention_cell.attentions[0](
        state.cells[0][0], memory, memory_mask=mask
    )
    assert_close(alignments, expected)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_encoder_is_its_layers(bidirectional, seed):
    encoder = Encoder(V, 5, 6, "gru", 2, bidirectional)
    ids = reversal(4)[0]["source"]
    memory, summary = encoder(ids, mask=ids != 0)
    size = 12 if bidirectional else 6
    assert memory.shape == (4, ids.shape[1], size) and summary.shape[1] == size
    expected = encoder.embedding(ids)
    final = []
    for level in range(2):
        x = expected
        cell = encoder.forward_layers[level].cell
        forward = keras.layers.RNN(
            cell, return_sequences=True, return_state=True
        )
        expected, *final = forward(x, mask=ids != 0)
        if bidirectional:
            cell = encoder.backward_layers[level].cell
            backward = keras.layers.RNN(
                cell,
                return_sequences=True,
                return_state=True,
                go_backwards=True,
            )
            y, *states = backward(x, mask=ids != 0)
            expected = tf.concat([expected, tf.reverse(y, [1])], -1)
            final += states
    real = ids != 0
    np.testing.assert_allclose(memory[real], expected[real], atol=1e-5)
    np.testing.assert_allclose(summary, tf.concat(final, -1), atol=1e-5)


@tried(few=4, many=20)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    extra=st.integers(1, 4),
    beam_width=st.integers(1, 3),
)
def test_padding_and_neighbours_change_nothing(lengths, extra, beam_width):
    model = _shared_model()
    rng = np.random.default_rng(sum(lengths))
    source = np.zeros((len(lengths), max(lengths) + extra), "int32")
    for row, length in enumerate(lengths):
        source[row, :length] = rng.integers(4, V, length)
    options = {"beam_width": beam_width, "max_length": 6}
    together = model.generate(source, **options)
    for row, length in enumerate(lengths):
        alone = model.generate(source[row : row + 1, :length], **options)
        np.testing.assert_array_equal(together.ids[row], alone.ids[0])
        np.testing.assert_allclose(
            together.log_probs[row], alone.log_probs[0], atol=1e-4
        )
        looks = together.alignments[row]
        np.testing.assert_allclose(
            looks[..., :length], alone.alignments[0], atol=1e-5
        )
        assert not looks[..., length:].numpy().any()


_MODELS = []


def _shared_model():
    """One model for all examples, whose graphs are traced once."""
    if not _MODELS:
        keras.utils.set_random_seed(3)
        _MODELS.append(build())
    return _MODELS[0]


# Each is compiled twice, which takes seconds.
COMPILED = {("gru", 1), ("both", 3)}


@pytest.mark.parametrize(
    ("variant", "beam_width"),
    [
        one if one in COMPILED else thorough(*one)
        for one in itertools.product(VARIANTS, (1, 3))
    ],
)
def test_generate_agrees_eagerly_in_a_graph_and_under_xla(
    variant, beam_width, seed
):
    model = build(variant)
    source = tf.constant(reversal(3)[0]["source"])
    options = {"beam_width": beam_width, "max_length": 5}
    graph = model.generate(source, **options)
    assert graph.ids.shape == (3, beam_width, 5)
    tf.config.run_functions_eagerly(True)
    try:
        eager = model.generate(source, **options)
    finally:
        tf.config.run_functions_eagerly(False)
    assert_close(graph, eager)
    assert_close(model.generate(source, **options, jit_compile=True), eager)
    within = tf.function(
        lambda source: model.generate(source, **options), jit_compile=True
    )
    assert_close(within(source), eager)


def test_scores_are_those_of_teacher_forcing(seed):
    model = build()
    source = reversal(3)[0]["source"]
    found = model.generate(source, beam_width=3, max_length=4)
    for k in range(3):
        ids = found.ids[:, k].numpy()
        target = np.concatenate([np.full((3, 1), START), ids[:, :-1]], 1)
        logits = model({"source": source, "target": target})
        log_probs = tf.nn.log_softmax(logits).numpy()
        for b in range(3):
            total = sum(
                log_probs[b, t, token]
                for t, token in enumerate(ids[b])
                if token
            )
            np.testing.assert_allclose(found.log_probs[b, k], total, atol=1e-4)


def test_samples_and_scores_are_those_of_the_model(seed):
    model = build()
    source = reversal(3)[0]["source"]
    rules = Constraints(min_length=2, forbidden_ids=(1,))
    drawn = model.sample(
        source,
        seed=5,
        num_samples=4,
        max_length=6,
        top_p=0.9,
        constraints=rules,
    )
    assert drawn.ids.shape == (3, 4, 6)
    assert (drawn.lengths.numpy() >= 2).all() and not (
        drawn.ids.numpy() == 1
    ).any()
    again = model.score(source, drawn.ids)
    assert_close(again, drawn)
    best = drawn.ids[:, 0].numpy()
    target = np.concatenate([np.full((3, 1), START), best[:, :-1]], 1)
    logits = model({"source": source, "target": target})
    gains = tf.gather(tf.nn.log_softmax(logits), best, batch_dims=2)
    expected = np.where(best != 0, gains, 0.0)
    np.testing.assert_allclose(
        model.score(source, best).token_log_probs[:, 0], expected, atol=1e-5
    )


def test_a_new_seed_draws_anew_without_a_new_graph(seed):
    model = build()
    source = reversal(3)[0]["source"]
    first = model.sample(source, seed=1, num_samples=8, max_length=6)
    second = model.sample(source, seed=2, num_samples=8, max_length=6)
    assert (first.ids.numpy() != second.ids.numpy()).any()
    assert model._sample.experimental_get_tracing_count() == 1
    compiled = tf.function(
        lambda source: model.sample(
            source, seed=1, num_samples=8, max_length=6
        ),
        jit_compile=True,
    )
    np.testing.assert_array_equal(compiled(source).ids, first.ids)


def test_the_best_of_a_beam(seed):
    model = build()
    source = reversal(3)[0]["source"]
    options = {
        "beam_width": 4,
        "max_length": 6,
        "length_penalty": 0.6,
        "coverage_penalty": 0.2,
        "constraints": Constraints(prefix=np.full((3, 1), 7)),
    }
    every = model.generate(source, **options)
    best = model.generate(source, n_best=1, **options)
    assert (every.ids[:, :, 0] == 7).numpy().all()
    assert_close(best, [field[:, :1] for field in every])
    groups = model.generate(source, num_groups=2, diversity=5.0, **options)
    assert groups.ids.shape == (3, 4, 6)


def test_greedy_scores_are_ranked_like_those_of_a_beam(seed):
    model = build()
    source = reversal(3)[0]["source"]
    penalties = {"length_penalty": 0.6, "coverage_penalty": 0.2}
    found = model.generate(source, max_length=6, **penalties)
    prefix = found.ids[:, 0]
    beam = model.generate(
        source,
        beam_width=2,
        n_best=1,
        max_length=6,
        constraints=Constraints(prefix=prefix),
        **penalties,
    )
    assert_close(beam, found)


def test_several_models_decode_as_one(seed):
    models = [build(), build("lstm_stack")]
    source = tf.constant(reversal(3)[0]["source"])
    steps, states = zip(*(model.start(source) for model in models), strict=True)
    found = score_target(
        ensemble(steps),
        states,
        tf.fill((3,), START),
        [[5, END]] * 3,
        end_id=END,
    )
    alone = [model.score(source, [[5, END]] * 3) for model in models]
    expected = np.mean([np.exp(one.token_log_probs) for one in alone], axis=0)
    np.testing.assert_allclose(
        np.exp(found.token_log_probs), expected, rtol=1e-4
    )


def test_learns_saves_and_loads(tmp_path, seed):
    model = build(units=32)
    model.compile(
        keras.optimizers.Adam(0.01),
        MaskedCrossentropy(label_smoothing=0.05),
        metrics=[MaskedAccuracy()],
    )
    inputs, labels = reversal(1500)
    model.fit(inputs, labels, batch_size=32, epochs=6, verbose=0)
    inputs, labels = reversal(100, seed=9)
    measured = model.evaluate(inputs, labels, verbose=0)
    assert measured[1] > 0.95
    found = model.generate(inputs["source"], beam_width=3, max_length=6)
    assert (found.ids[:, 0].numpy() == labels).all(1).mean() > 0.9
    assert model.predict(inputs, verbose=0).shape == (*labels.shape, V)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded(inputs), model(inputs), 0)
    assert loaded.evaluate(inputs, labels, verbose=0) == measured
    assert_close(loaded.optimizer.variables, model.optimizer.variables, 0)
    again = loaded.generate(inputs["source"], beam_width=3, max_length=6)
    np.testing.assert_array_equal(again.ids, found.ids)

    model.save_weights(tmp_path / "some.weights.h5")
    fresh = build(units=32)
    fresh.load_weights(tmp_path / "some.weights.h5")
    assert_close(fresh(inputs), model(inputs), 0)


@pytest.mark.parametrize("built", [False, True])
def test_the_step_of_fit_is_traced_once(built, seed):
    class Counted(Seq2Seq):
        traces = 0

        def train_step(self, data):
            self.traces += 1
            return super().train_step(data)

    model = Counted(
        Encoder(V, 5, 6, cell="simple_rnn", bidirectional=False),
        Decoder(V, 5, 6, cell="simple_rnn"),
    )
    if built:
        model.build()
    model.compile("adam", MaskedCrossentropy(), metrics=[MaskedAccuracy()])
    inputs, labels = reversal(8)
    model.fit(inputs, labels, epochs=2, verbose=0)
    assert model.traces == 1


@pytest.mark.parametrize(
    ("dtype", "variant"),
    [
        ("mixed_float16", "gru"),
        thorough("mixed_float16", "lstm_stack"),
        thorough("mixed_bfloat16", "lstm_stack"),
    ],
)
def test_half_precision(dtype, variant, seed):
    model = build(variant, dtype=dtype)
    model.compile("adam", MaskedCrossentropy())
    inputs, labels = reversal(32)
    logits = model(inputs)
    assert logits.dtype == tf.float32
    history = model.fit(inputs, labels, epochs=2, verbose=0)
    losses = history.history["loss"]
    assert np.isfinite(losses).all() and losses[1] < losses[0]
    found = model.generate(inputs["source"], beam_width=2, max_length=4)
    assert np.isfinite(found.log_probs[:, 0]).all()


def test_dropout_is_for_training_alone(seed):
    model = build(dropout=0.5, recurrent_dropout=0.5)
    inputs, _ = reversal(4)
    assert_close(model(inputs), model(inputs), 0)
    trained = [model(inputs, training=True) for _ in range(2)]
    assert not np.allclose(*trained)


def test_bad_arguments():
    # By name: a `tf.function` does not keep the object that it belongs to.
    model = build()
    with pytest.raises(ValueError, match="beam_width=0"):
        model.generate(tf.ones((1, 2), tf.int32), beam_width=0)
    with pytest.raises(ValueError, match="n_best=2, beam_width=1"):
        model.generate(tf.ones((1, 2), tf.int32), n_best=2)
    with pytest.raises(ValueError, match="query='sideways'"):
        Decoder(V, 5, 6, query="sideways")
    with pytest.raises(ValueError, match="attention='cubic'"):
        Decoder(V, 5, 6, attention="cubic")
    with pytest.raises(ValueError, match="Received: 'grru'"):
        Encoder(V, 5, 6, cell="grru")


@pytest.mark.parametrize(
    "use",
    [
        lambda model, source: model.generate(source, max_length=2),
        lambda model, source: model.sample(source, seed=1, max_length=2),
        lambda model, source: model.score(source, source),
        lambda model, source: model.start(source)[1],
        lambda model, source: model.decoder.start(*model.encoder(source))[1],
    ],
)
def test_what_is_not_built_is_built_at_its_first_use(use, seed):
    model = Seq2Seq(Encoder(V, 5, 6), Decoder(V, 5, 6), START, END)
    source = tf.constant(reversal(3)[0]["source"])
    found = use(model, source)
    reference = build()
    reference.set_weights(model.get_weights())
    assert_close(found, use(reference, source))
    assert_close(use(model, source), found, 0)


def test_a_model_can_be_built_in_a_graph_and_then_trained(seed):
    model = Seq2Seq(Encoder(V, 5, 6), Decoder(V, 5, 6), START, END)
    inputs, labels = reversal(3)
    tf.function(model.generate)(inputs["source"], max_length=2)
    before = model.get_weights()
    model.compile("sgd", MaskedCrossentropy(), run_eagerly=True)
    model.fit(inputs, labels, verbose=0)
    assert not np.allclose(before[0], model.get_weights()[0])


def test_what_cannot_build_itself_says_what_to_call():
    built, fresh = build().decoder, Decoder(V, 5, 6)
    memory, state = built.start(tf.ones((2, 3, 12)), tf.ones((2, 12)))
    for use in (
        lambda: fresh.step(tf.constant([1, 2]), state, memory),
        fresh.input_table,
        fresh.output_weights,
        lambda: fresh.logits(tf.ones((2, 6))),
    ):
        with pytest.raises(ValueError, match="`Decoder` is not built.*`start`"):
            use()


def test_summary_shows_shapes_and_parts(tmp_path, monkeypatch, seed):
    monkeypatch.setenv("COLUMNS", "220")
    model = build("lstm_stack")
    lines = []
    model.summary(200, print_fn=lines.append)
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in lines[0].splitlines()
        if "│" in line
    ]
    # An embedding (V, 5) and 2 layers of 2 directions: 4 gates of 6 units.
    encoder = V * 5 + 2 * 4 * 6 * ((5 + 6 + 1) + (12 + 6 + 1))
    shapes = [row[1] for row in rows]
    assert shapes == ["((None, None, 12), (None, 24))", f"(None, None, {V})"]
    assert rows[0][2] == f"{encoder:,}"
    inputs, _ = reversal(2)
    outputs = model.encoder(inputs["source"])
    given = model.encoder.compute_output_shape(inputs["source"].shape)
    assert given == tuple(tuple(output.shape) for output in outputs)

    model.summary(200, print_fn=lines.append, expand_nested=True)
    for part in ("Embedding", "LSTM", "AttentionCell", "LSTMCell", "Dense"):
        assert f"({part})" in lines[1] and f"({part})" not in lines[0]
    # Weights are where they were without it.
    model.save_weights(tmp_path / "some.weights.h5")
    with h5py.File(tmp_path / "some.weights.h5") as file:
        assert sorted(file["decoder"]) == [
            "attention_cell",
            "bridges",
            "embedding",
            "output_layer",
            "vars",
        ]
