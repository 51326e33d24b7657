"""The loss that `fit` and `evaluate` report of several batches."""

from typing import Any

import keras


class MeanLoss(keras.metrics.Mean):
    """Mean of the losses of batches, each with the weight that is told.

    Keras weighs a batch by its sentences. Of batches with sentences of like
    length that is no mean over tokens: long sentences count too little.

    Attributes:
        next_weight: The weight of the next batch, such as the number of its
            tokens; None is that of Keras.
    """

    def __init__(self) -> None:
        super().__init__(name="loss")
        self.next_weight: Any = None

    def update_state(self, values: Any, sample_weight: Any = None) -> Any:
        if self.next_weight is not None:
            sample_weight, self.next_weight = self.next_weight, None
        return super().update_state(values, sample_weight)
