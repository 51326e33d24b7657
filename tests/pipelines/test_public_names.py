import importlib

import pytest

from keras_recurrent import pipelines


@pytest.mark.parametrize("name", sorted(pipelines._MODULES))
def test_every_public_name_is_there(name):
    module = importlib.import_module(
        f"keras_recurrent.pipelines.{pipelines._MODULES[name]}"
    )
    assert getattr(pipelines, name) is getattr(module, name)
    assert name in dir(pipelines)


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pipelines.nothing
