"""What is said of a layer that has no weights yet."""

import keras


def check_built(layer: keras.Layer, advice: str) -> None:
    """Refuse what needs the weights of a layer that has none yet.

    For what a layer cannot do unbuilt, as it is not given all shapes that its
    weights depend on.

    Args:
        layer: The layer.
        advice: What to call first.

    Raises:
        ValueError: it is not built.
    """
    if not layer.built:
        raise ValueError(
            f"`{type(layer).__name__}` is not built yet, and cannot build "
            f"itself from what it got here: call {advice} first."
        )
