"""What is known of a shape when a graph is made."""

from typing import Any


def known_shape(tensor: Any, shape: Any) -> Any:
    """Return the tensor, of which this is known from now on.

    Unlike `tf.ensure_shape` it adds no operation to the graph: LiteRT has none
    for it. So the tensor must be one that the caller has just made.

    Args:
        tensor: A tensor of known rank.
        shape: The sizes of its axes; None where they are not known.
    """
    tensor.set_shape(shape)
    return tensor
