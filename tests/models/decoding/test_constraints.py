"""Rules for tokens, against their definitions in plain Python."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.models import Constraints, greedy_search
from tests.oracles import tried

V, END, L = 6, 1, 6


@tried(few=30, many=200)
@given(
    st.lists(
        st.lists(st.integers(2, V - 1), min_size=L - 1, max_size=L - 1),
        min_size=2,
        max_size=2,
    ),
    st.integers(0, L - 1),
    st.integers(0, 4),
    st.lists(st.integers(0, V - 1), max_size=2),
    st.integers(0, L),
)
def test_barred_tokens(texts, t, size, forbidden, min_length):
    written = np.array(texts) * (np.arange(L - 1) < t)
    written = np.pad(written, [(0, 0), (0, 1)])
    rules = Constraints(min_length, size, forbidden).for_rows(1, L)
    log_probs = tf.random.stateless_normal((2, V), [0, 0])
    found = rules.bar(log_probs, t, tf.constant(written, tf.int32), END).numpy()
    for row in range(2):
        text = written[row, :t].tolist()
        for token in range(V):
            longer = [*text, token]
            grams = [longer[i : i + size] for i in range(t + 2 - size)]
            barred = (
                token == 0
                or token in forbidden
                or (token == END and t < min_length)
                or (size > 0 and grams and grams[-1] in grams[:-1])
            )
            expected = -np.inf if barred else log_probs[row, token]
            assert found[row, token] == expected


def cycle(ids, state):
    """After 2 comes 3, …, after 5 comes 2; the end is always second."""
    following = tf.where(ids == V - 1, 2, ids + 1)
    logits = 5 * tf.one_hot(following, V) + 4 * tf.one_hot(END, V)
    return logits, None, state


def greedy(**rules):
    found = greedy_search(
        cycle,
        (),
        tf.constant([2, 4]),
        end_id=END,
        max_length=L,
        constraints=Constraints(**rules),
    )
    return found.ids[:, 0].numpy().tolist(), found


def test_greedy_search_obeys():
    assert greedy()[0] == [[3, 4, 5, 2, 3, 4], [5, 2, 3, 4, 5, 2]]
    assert greedy(forbidden_ids=[5])[0][0] == [3, 4, END, 0, 0, 0]
    assert greedy(no_repeat_ngram=1)[0][1] == [5, 2, 3, 4, END, 0]
    ids, _ = greedy(no_repeat_ngram=1, min_length=5)
    assert len(set(ids[0][:4])) == 4


def test_a_prefix_comes_first_and_is_part_of_the_output():
    prefix = np.array([[4, 4], [3, 0]])
    ids, found = greedy(prefix=prefix, forbidden_ids=[4], min_length=3)
    assert ids[0][:4] == [4, 4, 5, 2]
    # 4 may not follow 3 here, and the end only after three tokens.
    assert ids[1][0] == 3 and 4 not in ids[1]
    expected = tf.nn.log_softmax(cycle(tf.constant([2]), ())[0])[0, 4]
    np.testing.assert_allclose(found.token_log_probs[0, 0, 0], expected)
    assert greedy(prefix=[[2] * 9] * 2)[0] == [[2] * L] * 2
    assert greedy(prefix=[[2, END]] * 2)[0] == [[2, END, 0, 0, 0, 0]] * 2


def test_nothing_left_to_choose():
    ids, found = greedy(no_repeat_ngram=1, forbidden_ids=[END])
    assert ids[0] == [3, 4, 5, 2, 0, 0]
    assert found.scores[0, 0] == -np.inf


@pytest.mark.parametrize(
    "rules, message",
    [
        ({"min_length": -1}, "min_length=-1"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram=-1"),
        ({"prefix": [2, 3]}, "shape=\\(2,\\)"),
    ],
)
def test_bad_arguments(rules, message):
    with pytest.raises(ValueError, match=message):
        greedy(**rules)
