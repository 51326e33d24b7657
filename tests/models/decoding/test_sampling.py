"""Drawing outputs at random: how often, from what, and repeatably."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import Constraints, sample

V, END, START = 6, 1, 0
LOGITS = np.array(
    [[9.0, 0.5, 2.0, 1.0, -0.5, -2.0], [9.0, 0.0, -1.0, 3.0, 2.9, 1.0]]
)
"""Of two sentences; the next token does not depend on the ones before."""


def step(ids, state):
    looks = tf.one_hot(state, 2)
    return tf.gather(tf.constant(LOGITS), state), looks, state


def draw(seed=0, max_length=1, **options):
    return sample(
        step,
        tf.range(2),
        tf.fill((2,), START),
        end_id=END,
        max_length=max_length,
        seed=seed,
        **options,
    )


def softmax(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def expected_shares(temperature=1.0, top_k=None, top_p=1.0):
    """What a drawn token should be, in plain NumPy, without padding."""
    shares = np.zeros_like(LOGITS)
    for row, logits in enumerate(LOGITS):
        order = np.argsort(-logits[1:])[:top_k] + 1
        probs = softmax(logits[order] / temperature)
        count = np.searchsorted(np.cumsum(probs), top_p) + 1
        kept = order[:count]
        shares[row, kept] = softmax(logits[kept] / temperature)
    return shares


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 3.0},
        {"top_k": 3},
        {"top_k": 100},
        {"top_p": 0.7},
        {"top_p": 0.05},
        {"temperature": 2.0, "top_k": 4, "top_p": 0.8},
    ],
)
def test_tokens_are_drawn_as_often_as_they_should_be(options):
    count = 20_000
    ids = draw(num_samples=count, **options).ids[:, :, 0].numpy()
    for row, expected in enumerate(expected_shares(**options)):
        shares = np.bincount(ids[row], minlength=V) / count
        assert not shares[expected == 0].any()
        # Five standard deviations of a share.
        error = 5 * np.sqrt(expected * (1 - expected) / count)
        assert (np.abs(shares - expected) <= error).all()


def test_samples_and_steps_are_independent():
    ids = draw(num_samples=4000, max_length=2, top_k=3).ids.numpy()
    expected = expected_shares(top_k=3)
    for row in range(2):
        first, second = ids[row].T
        going_on = first != END
        joint = np.zeros((V, V))
        np.add.at(joint, (first[going_on], second[going_on]), 1 / 4000)
        product = np.outer(expected[row], expected[row])
        product[END] = 0
        np.testing.assert_allclose(joint, product, atol=0.04)
    assert not (ids[0] == ids[1]).all()


def test_what_is_returned():
    found = draw(num_samples=50, max_length=7, temperature=2.0, top_p=0.9)
    assert found.ids.shape == (2, 50, 7)
    # The log-probabilities are the model's own, padding counted in.
    log_probs = np.log(softmax(LOGITS))
    for row in range(2):
        for k in range(50):
            ids = found.ids[row, k].numpy()
            ends = np.flatnonzero(ids == END)
            length = ends[0] if len(ends) else 7
            assert found.lengths[row, k] == length
            size = min(length + 1, 7)
            assert ids[:size].all() and not ids[size:].any()
            gains = np.where(ids, log_probs[row, ids], 0.0)
            np.testing.assert_allclose(
                found.token_log_probs[row, k], gains, atol=1e-5
            )
            np.testing.assert_allclose(
                found.log_probs[row, k], gains.sum(), rtol=1e-5
            )
            looks = np.eye(2)[row] * (ids != 0)[:, np.newaxis]
            np.testing.assert_allclose(found.alignments[row, k], looks)


def test_the_seed_decides_eagerly_in_a_graph_and_under_xla():
    def run(seed):
        return draw(seed, num_samples=20, max_length=5, top_p=0.95)

    compiled = [
        tf.function(run, jit_compile=jit_compile, autograph=False)
        for jit_compile in (False, True)
    ]
    expected = [run(seed) for seed in (3, 4)]
    assert (expected[0].ids.numpy() != expected[1].ids.numpy()).any()
    for seed, reference in zip((3, 4), expected, strict=True):
        for run in compiled:
            found = run(tf.constant(seed))
            np.testing.assert_array_equal(found.ids, reference.ids)
            np.testing.assert_allclose(
                found.token_log_probs, reference.token_log_probs, atol=1e-5
            )


def test_rules_hold():
    rules = Constraints(
        min_length=3,
        no_repeat_ngram=2,
        forbidden_ids=[2],
        prefix=np.array([[5, 5], [4, 0]]),
    )
    ids = draw(num_samples=200, max_length=6, constraints=rules).ids.numpy()
    assert (ids[0, :, :2] == 5).all() and (ids[1, :, 0] == 4).all()
    assert not (ids == 2).any() and not (ids[..., :3] == END).any()
    for output in ids.reshape(-1, 6):
        output = output[output != 0].tolist()
        pairs = list(zip(output, output[1:], strict=False))
        assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_samples": 0}, "num_samples=0"),
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"top_k": 0}, "top_k=0"),
        ({"top_p": 1.5}, "at most 1. Received: top_p=1.5"),
        ({"max_length": 0}, "max_length=0"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        draw(**options)
