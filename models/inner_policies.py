"""The dtype policies of the layers of Keras inside of ours.

An `Encoder` or a `Decoder` makes its layers itself, with its own policy. But
one of them may be quantized after that, or given a policy of its own.
"""

from typing import Any

import keras

# What a layer of Keras must know of it before it is built.
_KEYS = ("dtype", "quantization_config")


def inner_policies(
    outer: keras.Layer, layers: dict[str, keras.Layer]
) -> dict[str, Any]:
    """Return what a configuration says of those with another policy.

    Args:
        outer: The layer that they are in.
        layers: The layers, by names that stay the same.
    """
    configs = {
        name: layer.get_config()
        for name, layer in layers.items()
        if layer.dtype_policy.name != outer.dtype_policy.name
    }
    return {
        name: {key: config[key] for key in _KEYS}
        for name, config in configs.items()
    }


def set_inner_policies(
    layers: dict[str, keras.Layer], policies: dict[str, Any]
) -> None:
    """Give layers that are not built yet what `inner_policies` has returned."""
    deserialize = keras.saving.deserialize_keras_object
    for name, policy in policies.items():
        layers[name].dtype_policy = deserialize(policy["dtype"])
        layers[name].quantization_config = deserialize(
            policy["quantization_config"]
        )
