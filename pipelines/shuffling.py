"""Orders of a dataset that a tensor, or the clock, tells."""

import tensorflow as tf


def shuffled_by(
    dataset: tf.data.Dataset, size: int, seed: tf.Tensor
) -> tf.data.Dataset:
    """Shuffle as `Dataset.shuffle` does, which takes no tensor for a seed.

    Args:
        dataset: of dense tensors.
        size: how many elements are shuffled at a time.
        seed: int64, tells the order.
    """
    specs = tf.nest.flatten(dataset.element_spec)
    variant = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(dataset),
        buffer_size=size,
        seed=seed,
        seed2=size,  # Both at zero would draw one.
        output_types=[spec.dtype for spec in specs],
        output_shapes=[spec.shape for spec in specs],
        reshuffle_each_iteration=False,
    )
    return tf.data.experimental.from_variant(variant, dataset.element_spec)


def permuted(seed: int, pairs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Shuffle N pairs, each (N,), anew at each call.

    A worker of a service, which starts anew for each epoch, would go through
    the same orders again with `Dataset.shuffle`.
    """
    now = tf.cast(1e6 * tf.timestamp(), tf.int64)
    count = tf.size(pairs["source"])
    keys = tf.random.stateless_uniform([count], seed=tf.stack([seed, now]))
    order = tf.argsort(keys)  # (N,)
    return {side: tf.gather(texts, order) for side, texts in pairs.items()}
