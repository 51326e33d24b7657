"""The examples in docstrings run."""

import doctest
import importlib
import pkgutil

import keras
import pytest
import tensorflow as tf

PACKAGES = ("layers", "models", "pipelines", "tuning")


def modules() -> list[str]:
    names = []
    for package in PACKAGES:
        name = f"keras_recurrent.{package}"
        names.append(name)
        path = importlib.import_module(name).__path__
        names += [
            module.name for module in pkgutil.walk_packages(path, f"{name}.")
        ]
    return names


@pytest.mark.parametrize("name", modules())
def test_examples(name: str, seed: int) -> None:
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(
        module,
        extraglobs={"keras": keras, "tf": tf},
        optionflags=doctest.ELLIPSIS,
    )
    assert not failed
