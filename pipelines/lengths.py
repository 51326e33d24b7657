"""How long the examples are, and what is said about it before training."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from keras_recurrent.pipelines.recipe import Recipe
from keras_recurrent.pipelines.sources import Source
from keras_recurrent.pipelines.vocabulary import Vocabulary

_SIDES = ("source", "target")
# An example is an outlier if it is so many times longer than this share of
# all, and worth a word if outliers multiply the time steps of a pass by this.
_SHARE = 0.95
_TIMES = 4
_SLOWDOWN = 1.25


def length_warnings(
    recipe: Recipe,
    sources: dict[str, Source],
    lengths: dict[str, np.ndarray],
) -> Iterator[str]:
    """Say what of the data is too long, or much longer than the rest.

    Targets that decoding cuts off make predictions wrong however well a model
    is trained; a single long example makes every pass over the data take
    several times as long. Where nothing is wrong, nothing is said.

    Args:
        recipe: the recipe.
        sources: where the pairs are from, by the name of their split.
        lengths: of the pairs, from `example_lengths`.
    """
    warnings = [_cut_targets(recipe, lengths)]
    for split, source in sources.items():
        warnings.append(_outliers(recipe, split, source, lengths[split]))
    yield from filter(None, warnings)


def example_lengths(
    pairs: tf.data.Dataset, vocabularies: tuple[Vocabulary, Vocabulary]
) -> np.ndarray:
    """Count the tokens of sources and targets, (N, 2), without special ones."""

    def count(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.stack(
            [
                tf.cast(vocabulary.encode(batch[side]).row_lengths(), tf.int32)
                for side, vocabulary in zip(_SIDES, vocabularies, strict=True)
            ],
            axis=1,
        )

    batches = pairs.batch(10_000).map(count).as_numpy_iterator()
    return np.concatenate([np.zeros((0, 2), np.int32), *batches])


def steps(lengths: np.ndarray, batch_size: int) -> int:
    """Count the steps of encoder and decoder in a pass over sorted batches.

    A batch takes as many as its longest source and its longest target.
    """
    target = lengths[:, 1]
    # As `batching.encoded` sorts them.
    order = np.lexsort((target, np.maximum(lengths[:, 0], target + 1)))
    starts = np.arange(0, len(lengths), batch_size)
    return int(np.maximum.reduceat(lengths[order], starts).sum())


def _cut_targets(recipe: Recipe, lengths: dict[str, np.ndarray]) -> str:
    limit = recipe.decoding.max_length
    # The end is a token, too.
    targets = {split: 1 + both[:, 1] for split, both in lengths.items()}
    longest = max(split.max(initial=0) for split in targets.values())
    if longest <= limit:
        return ""
    counts = " and ".join(
        f"{np.count_nonzero(longer):,} of {len(longer):,} {split} targets"
        for split, longer in (
            (split, target > limit) for split, target in targets.items()
        )
        if longer.any()
    )
    return (
        f"{counts} are longer than decoding.max_length={limit} tokens, their "
        f"end counted in: what is predicted will be cut off. The longest has "
        f"{longest:,}: set decoding.max_length={longest}"
    )


def _outliers(
    recipe: Recipe, split: str, source: Source, lengths: np.ndarray
) -> str:
    if not len(lengths):
        return ""
    # There can be many: no more numbers at a time than are needed.
    usual = np.array(
        [
            max(1, np.quantile(side, _SHARE, method="inverted_cdf"))
            for side in lengths.T
        ],
        np.int32,
    )
    excess = (lengths / usual.astype(np.float32)).max(axis=1)
    if excess.max() <= _TIMES:
        return ""
    size = recipe.training.batch_size
    if recipe.training.batch_unit == "tokens":
        size = max(1, int(size / lengths.max(axis=1).mean()))
    slowdown = steps(lengths, size) / steps(np.minimum(lengths, usual), size)
    if slowdown < _SLOWDOWN:
        return ""
    index = int(excess.argmax())
    side = int((lengths[index] / usual).argmax())
    others = np.count_nonzero(excess > _TIMES) - 1
    more = f" (and {others:,} more like it)" if others else ""
    return (
        f"{source.place(index)}: the {_SIDES[side]} has "
        f"{lengths[index, side]:,} tokens, where {_SHARE:.0%} have at most "
        f"{usual[side]:,}. Batches as long as this{more} make a pass over the "
        f"{split} data take {slowdown:.1f} times as many time steps: shorten "
        "the example or leave it out (training.max_length)"
    )
