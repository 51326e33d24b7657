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
