"""How fast training is, in target tokens a second."""

import time
from typing import Any

import keras

from keras_recurrent.models import MaskedAccuracy


class Throughput(keras.callbacks.Callback):
    """Measures how many target tokens a second training takes.

    The tokens are those that `MaskedAccuracy` of the model counts: no padding,
    the ends counted in. The seconds are those of the training part of an epoch,
    in which one waits for data and, in the first, for the tracing of the graph;
    validation is not among them. Other callbacks, those behind this one, get it
    of the epoch as `tokens_per_second`.

    Nothing is done at each batch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.began = 0.0
        self.measured = 0.0

    def now(self) -> float:
        """Return the tokens a second of the epoch so far."""
        # Keras has those of `compile` within one.
        metrics = (
            metric
            for outer in self.model.metrics
            for metric in getattr(outer, "metrics", ())
        )
        accuracy = next(m for m in metrics if isinstance(m, MaskedAccuracy))
        # Where this waits for a GPU, it counts.
        tokens = float(keras.ops.convert_to_numpy(accuracy.count))
        return tokens / (time.perf_counter() - self.began)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.began = time.perf_counter()

    def on_test_begin(self, logs: Any = None) -> None:
        # Training is over, and Keras has not yet reset what it counted.
        self.measured = round(self.now(), 1)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["tokens_per_second"] = self.measured
