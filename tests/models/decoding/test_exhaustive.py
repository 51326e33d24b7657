"""Beam search against the enumeration of all outputs.

The model is a table: the next token and where it looks depend on the whole
output so far. Where the beam is wide enough to hold every output, search must
find the best of all; the reference is written in plain Python and NumPy.
"""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.models import Constraints, beam_search
from tests.oracles import thorough, tried

V, S, END, START = 5, 3, 1, 4
OTHERS = (2, 3, 4)
L = 3
# Every output, ended or cut, fits into the beam.
WIDE = 3**3 + 3**2 + 3 + 1
MASK = np.array([[True, True, True], [True, True, False]])
B = len(MASK)


class Table:
    """A model whose state is the number that the output so far spells."""

    def __init__(self, seed, length=L):
        rng = np.random.default_rng(seed)
        self.length = length
        logits = rng.normal(size=(B, V**length, V)) * 1.5
        self.log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        looks = rng.dirichlet(np.ones(S) * 0.3, size=(B, V**length))
        looks[rng.random(looks.shape) < 0.3] = 0.0
        self.looks = looks * MASK[:, np.newaxis]

    def step(self, ids, state):
        code, sentence = state
        code = code * V + ids
        where = tf.stack([sentence, code], axis=1)
        log_probs = tf.gather_nd(tf.constant(self.log_probs), where)
        looks = tf.gather_nd(tf.constant(self.looks), where)
        return log_probs, looks, (code, sentence)

    def search(self, **options):
        return beam_search(
            self.step,
            (tf.zeros((B,), tf.int32), tf.range(B)),
            tf.fill((B,), START),
            end_id=END,
            max_length=self.length,
            source_mask=tf.constant(MASK),
            **options,
        )

    def follow(self, sentence, output):
        """Log-probabilities and alignments of each token of an output."""
        code, gains, looks = START, [], []
        for token in output:
            gains.append(self.log_probs[sentence, code, token])
            looks.append(self.looks[sentence, code])
            code = code * V + token
        return np.array(gains), np.array(looks)

    def score(self, sentence, output, penalties):
        gains, looks = self.follow(sentence, output)
        weight = penalties["length_penalty"]
        score = gains.sum() / penalty(len(output), weight)
        if output[-1] != END:
            return score
        covered = looks.sum(0)[MASK[sentence]]
        lost = np.log(np.clip(covered, 1e-6, 1.0)).sum()
        return score + penalties["coverage_penalty"] * lost

    def merit(self, sentence, output, penalties, handicap):
        """What counts when the last token of the output is chosen."""
        gains, _ = self.follow(sentence, output)
        weight = penalties["length_penalty"]
        tokens = len(output)
        if output[-1] == END and weight != "average":
            tokens -= 1
        return (gains.sum() - handicap) / penalty(tokens, weight)


def penalty(tokens, weight):
    return tokens if weight == "average" else ((5 + tokens) / 6) ** weight


def may_follow(output, token, rules, sentence):
    """Whether the rules let a token follow an output."""
    if token == 0:
        return False
    t = len(output)
    if rules.prefix is not None and t < rules.prefix.shape[1]:
        forced = rules.prefix[sentence, t]
        if forced != 0:
            return token == forced
    if token == END and t < rules.min_length:
        return False
    size = rules.no_repeat_ngram
    if size:
        longer = (*output, token)
        grams = [longer[i : i + size] for i in range(t + 2 - size)]
        if grams and grams[-1] in grams[:-1]:
            return False
    return token not in rules.forbidden_ids


def all_outputs(rules, sentence, output=()):
    """Every output that ends, and every one cut at L tokens."""
    if output and (output[-1] == END or len(output) == L):
        yield output
        return
    for token in range(V):
        if may_follow(output, token, rules, sentence):
            yield from all_outputs(rules, sentence, (*output, token))


def narrow_beam(table, sentence, rules, penalties, width, groups, diversity):
    """Beam search as lists of hypotheses, which never stops early."""
    beams = [[()] for _ in range(groups)]
    for _ in range(table.length):
        times = np.zeros(V)
        for group in range(groups):
            candidates = []
            for output in beams[group]:
                if output and output[-1] == END:
                    merit = table.score(sentence, output, penalties)
                    candidates.append((merit, output, 0))
                    continue
                for token in range(V):
                    if may_follow(output, token, rules, sentence):
                        longer = (*output, token)
                        merit = table.merit(
                            sentence,
                            longer,
                            penalties,
                            diversity * times[token],
                        )
                        candidates.append((merit, longer, token))
            candidates.sort(key=lambda candidate: -candidate[0])
            candidates = candidates[: width // groups]
            for _, _, token in candidates:
                times[token] += token != 0
            beams[group] = [output for _, output, _ in candidates]
    return [output for group in beams for output in group]


def assert_found(found, table, outputs, penalties, sentence):
    """`found` holds the best of `outputs`, best first, then nothing."""
    score = {y: table.score(sentence, y, penalties) for y in outputs}
    ranked = sorted(outputs, key=lambda y: -score[y])
    for k, ids in enumerate(found.ids[sentence].numpy()):
        if k >= len(ranked):
            assert not ids.any() and found.lengths[sentence, k] == 0
            assert found.scores[sentence, k] == -np.inf
            assert not found.token_log_probs[sentence, k].numpy().any()
            continue
        expected = ranked[k]
        size = len(expected)
        assert tuple(ids[:size]) == expected and not ids[size:].any()
        gains, looks = table.follow(sentence, expected)
        for ours, reference in (
            (found.scores, score[expected]),
            (found.log_probs, gains.sum()),
            (found.lengths, size - (expected[-1] == END)),
            (found.token_log_probs, np.pad(gains, (0, L - size))),
            (found.alignments, np.pad(looks, ((0, L - size), (0, 0)))),
        ):
            np.testing.assert_allclose(
                ours[sentence, k], reference, rtol=1e-4, atol=1e-5
            )


seeds = st.integers(0, 10**6)
all_penalties = st.fixed_dictionaries(
    {
        "length_penalty": st.sampled_from([0.0, 0.6, 1.0, 2.5, "average"]),
        "coverage_penalty": st.sampled_from([0.0, 0.2, 1.0]),
    }
)
prefixes = st.none() | st.builds(
    np.array,
    st.sampled_from(
        [[[2], [0]], [[3, 3], [4, 0]], [[2, END], [3, 2]], [[4, 4, 4, 4]] * 2]
    ),
)
all_rules = st.builds(
    Constraints,
    min_length=st.integers(0, L),
    no_repeat_ngram=st.integers(0, L + 1),
    forbidden_ids=st.lists(st.integers(1, V - 1), max_size=3),
    prefix=prefixes,
)


@tried(few=20, many=100)
@given(seeds, all_penalties, all_rules, st.integers(1, WIDE))
def test_a_wide_beam_finds_the_best_of_all(seed, penalties, rules, n_best):
    table = Table(seed)
    found = table.search(
        beam_width=WIDE, n_best=n_best, constraints=rules, **penalties
    )
    assert found.ids.shape == (B, n_best, L)
    for sentence in range(B):
        outputs = list(all_outputs(rules, sentence))
        assert_found(found, table, outputs, penalties, sentence)


@tried(few=20, many=100)
@given(
    seeds,
    all_penalties,
    st.just(Constraints()) | all_rules,
    st.sampled_from([(1, 1), (2, 1), (3, 1), (2, 2), (4, 2), (6, 3)]),
    st.sampled_from([0.0, 0.5, 3.0]),
    st.data(),
)
def test_a_narrow_beam(seed, penalties, rules, widths, diversity, data):
    """Stopping early returns what going on to the end does."""
    width, groups = widths
    n_best = data.draw(st.integers(1, width))
    table = Table(seed, length=6)
    found = table.search(
        beam_width=width,
        n_best=n_best,
        num_groups=groups,
        diversity=diversity,
        constraints=rules,
        **penalties,
    )
    for sentence in range(B):
        outputs = narrow_beam(
            table, sentence, rules, penalties, width, groups, diversity
        )
        # Groups may find the same output: then it is there twice.
        score = [table.score(sentence, y, penalties) for y in outputs]
        best = np.argsort([-one for one in score], kind="stable")[:n_best]
        expected = np.full(n_best, -np.inf)
        expected[: len(best)] = np.array(score)[best]
        np.testing.assert_allclose(
            found.scores[sentence], expected, rtol=1e-4, atol=1e-5
        )
        for k, number in enumerate(best):
            size = len(outputs[number])
            ids = found.ids[sentence, k].numpy()
            assert tuple(ids[:size]) == outputs[number]
            assert not ids[size:].any()


@pytest.mark.parametrize(
    "length_penalty", [1.0, thorough(0.0), thorough("average")]
)
def test_eager_graph_and_xla_agree(length_penalty):
    table = Table(5)
    rules = Constraints(1, 2, (4,), np.array([[2, 0], [0, 0]]))

    def search():
        return table.search(
            beam_width=4,
            n_best=3,
            num_groups=2,
            diversity=0.7,
            length_penalty=length_penalty,
            coverage_penalty=0.3,
            constraints=rules,
        )

    expected = search()
    for jit_compile in (False, True):
        compiled = tf.function(search, jit_compile=jit_compile, autograph=False)
        for ours, reference in zip(compiled(), expected, strict=True):
            np.testing.assert_allclose(ours, reference, atol=1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"beam_width": 0}, "beam_width=0"),
        ({"beam_width": 2, "n_best": 3}, "n_best=3, beam_width=2"),
        ({"beam_width": 4, "num_groups": 3}, "num_groups=3"),
        ({"beam_width": 2, "diversity": -1.0}, "diversity=-1.0"),
        ({"beam_width": 2, "length_penalty": -1.0}, "length_penalty=-1.0"),
        ({"beam_width": 2, "length_penalty": "mean"}, "'mean'"),
        ({"beam_width": 2, "constraints": Constraints(-1)}, "min_length=-1"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        Table(0).search(**options)
