"""What attention looks at, prepared once for all queries."""

from typing import Any, NamedTuple


class Memory(NamedTuple):
    """A memory with its projection and its mask.

    It travels as an argument from step to step, so that a layer keeps nothing
    between calls.
    """

    values: Any
    """(B, S, M), what contexts are made of."""
    keys: Any
    """(B, S, A), the projection that queries are compared with."""
    mask: Any
    """(B, S), boolean, True at the positions that count, or None."""


def memory_size(memory_shape: Any) -> int:
    """Return M of the shape (B, S, M) that an attention is built for.

    Raises:
        ValueError: it is that of a prepared memory, which may be of another
            size than the memory had.
    """
    if isinstance(memory_shape, Memory):
        raise ValueError(
            "An attention that is not built yet cannot tell its sizes from a "
            "prepared memory: call `build(query_shape, memory_shape)` first."
        )
    return memory_shape[-1]
