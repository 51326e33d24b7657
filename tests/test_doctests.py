"""The examples in docstrings run, and what is public has one."""

import doctest
import importlib
import inspect
import pkgutil

import keras
import pytest
import tensorflow as tf

from keras_recurrent import layers, models

PACKAGES = ("layers", "models", "pipelines", "tuning")
# Only their subclasses can be used.
ABSTRACT = (layers.Attention, layers.RecurrentCell)


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


@pytest.mark.parametrize("package", [layers, models])
def test_every_public_layer_has_an_example(package: object) -> None:
    kinds = (keras.Layer, keras.losses.Loss, keras.metrics.Metric)
    without = [
        name
        for name, thing in inspect.getmembers(package, inspect.isclass)
        if issubclass(thing, kinds)
        and thing not in ABSTRACT
        and ">>>" not in inspect.cleandoc(thing.__doc__ or "")
    ]
    assert not without
