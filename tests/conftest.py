"""Settings shared by all tests."""

import os

# Before anything imports TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest


@pytest.fixture
def seed() -> int:
    """Seed Python, NumPy and TensorFlow; return the seed."""
    import keras

    keras.utils.set_random_seed(7)
    return 7
