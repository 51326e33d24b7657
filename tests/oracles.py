"""What tests of several files share: oracles, and which cases run when."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import settings

# Numbers of other libraries.
GOLDEN = Path(__file__).parent / "golden"


def assert_close(
    ours: Any, expected: Any, atol: float = 1e-5, rtol: float = 1e-7
) -> None:
    """Whether two structures have as many numbers, which are nearly equal.

    Half precision is compared as `float32`, which NumPy can print.
    """
    for a, b in zip(
        tf.nest.flatten(ours), tf.nest.flatten(expected), strict=True
    ):
        a, b = (np.asarray(x, _comparable(x)) for x in (a, b))
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def _comparable(x: Any) -> Any:
    return "float32" if np.asarray(x).dtype.itemsize == 2 else None


def uneven_loss(outputs: Any, speed: float = 3.0) -> Any:
    """A loss whose gradient is another one for each number.

    A sum of plain outputs would not show that gradients were exchanged.
    """
    return sum(
        tf.reduce_sum(tf.sin(speed * tf.cast(y, tf.float32)))
        for y in tf.nest.flatten(outputs)
    )


def arrays_of(file: Any) -> dict[str, np.ndarray]:
    """All numbers in a file of weights, by an independent reader: h5py."""
    found = {}

    def keep(name: str, value: Any) -> None:
        if isinstance(value, h5py.Dataset):
            found[name] = value[()]

    with h5py.File(file) as opened:
        opened.visititems(keep)
    return found


def thorough(*values: Any) -> Any:
    """A case of `parametrize` that runs in `make test-thorough` alone."""
    return pytest.param(*values, marks=pytest.mark.thorough)


def tried(few: int, many: int) -> settings:
    """With how many examples a property is tried.

    Few in `make test`, many in `make test-thorough`.
    """
    thorough = settings.get_current_profile_name() == "thorough"
    return settings(max_examples=many if thorough else few, deadline=None)
