"""Losses for a model that returns logits."""

import inspect
from typing import Any

import keras


def check_reads_logits(losses: Any) -> None:
    """Refuse losses of Keras that take logits for probabilities.

    Args:
        losses: As in `compile`, nested or not; or None.

    Raises:
        ValueError: `from_logits` of one of them is not set.
    """
    for given in keras.tree.flatten(losses):
        loss = given
        if loss in ("crossentropy", "ce"):
            # What Keras takes for it, by the shapes.
            loss = "sparse_categorical_crossentropy"
        loss = keras.losses.get(loss)
        if isinstance(loss, keras.losses.Loss):
            from_logits = loss.get_config().get("from_logits")
        elif loss is not None:
            option = inspect.signature(loss).parameters.get("from_logits")
            from_logits = option and option.default
        else:
            from_logits = None
        if from_logits is False:
            raise ValueError(
                "`loss` must be of logits, such as `MaskedCrossentropy()`, or "
                f"have `from_logits=True`. Received: loss={given!r}"
            )
