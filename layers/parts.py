"""The layers inside of a layer."""

from collections import deque

import keras


def parts_of(layer: keras.Layer) -> deque[keras.Layer]:
    """Return the layers that a layer consists of, as its property `layers`.

    `Model.summary` asks for it. Of a list, Keras would save the weights under
    the name of the property, and not find those of older files.
    """
    return deque(layer._flatten_layers(include_self=False, recursive=False))
