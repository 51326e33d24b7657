"""Training by several processes, which Keras alone cannot."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import tensorflow as tf

from keras_recurrent.models.masked_crossentropy import MaskedCrossentropy
from keras_recurrent.models.replicas import (
    mean_over_replicas,
    num_replicas,
    sum_at_first_replica,
    sum_over_replicas,
)

if TYPE_CHECKING:
    _Model: TypeAlias = keras.Model
else:  # Keras exchanges the bases of functional models, those of others too.
    _Model = object


class MultiWorkerTraining(_Model):
    """Has `fit` work under `tf.distribute.MultiWorkerMirroredStrategy`.

    To stand before the class of a model, of whatever kind: `keras.Sequential`,
    `keras.Model` (functional or with a `call`). `Seq2Seq` has it already. Under
    another strategy or none it does no harm. Keras 3.15 by itself fails, see
    issue 20585 of keras-team/keras, because

    - it builds the model from the mean of what each replica has of a batch,
      though these have not as many rows each, or are at other workers. Here it
      is built from what the first replica has;
    - it takes the mean over replicas of what `train_step` and `test_step` say
      along an axis that numbers do not have. Here they have one.

    And the weights become those that one process would have made of the whole
    batch, however it is split:

    - Keras takes the mean of the means of replicas, which have not as many rows
      each in the last batch of an epoch. Here it is one over all rows, or over
      all tokens, with `MaskedCrossentropy`;
    - Keras clips the gradient of each replica. Here it is that of all. This
      costs a second exchange of gradients; without clipping there is one.

    Left to Keras are a `train_step` of others, losses with the reduction "sum"
    or "mean_with_sample_weight", and what looks at a whole batch, such as batch
    normalization. The loss of a step is told alike at all workers, so they stop
    at a NaN together.

    The workers must call the same methods with the same data, which
    `tf.distribute` parts among them; see `docs/many-machines.md`.

    Raises:
        ValueError: there are several replicas, and `steps_per_execution`, or
            `gradient_accumulation_steps` of the optimizer, is more than 1.

    Example:

    >>> class Sequential(MultiWorkerTraining, keras.Sequential):
    ...     pass
    >>> strategy = tf.distribute.MultiWorkerMirroredStrategy()  # of TF_CONFIG
    >>> with strategy.scope():
    ...     model = Sequential([keras.layers.Dense(1)])
    ...     model.compile("sgd", "mse")
    >>> x = tf.ones((5, 2))
    >>> history = model.fit(x, tf.ones((5, 1)), batch_size=4, verbose=0)
    """

    def train_step(self, data: Any) -> Any:
        if num_replicas() == 1 or not _clips(self.optimizer):
            return super().train_step(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        training = {"training": True} if self._call_has_training_arg else {}
        with tf.GradientTape() as tape:
            y_pred = self(x, **training)
            loss = self._compute_loss(
                x, y, y_pred, sample_weight, training=True
            )
            scaled = self.optimizer.scale_loss(loss)
        self._loss_tracker.update_state(
            loss * num_replicas(), sample_weight=_rows(x)
        )
        variables = self.trainable_weights
        gradients = sum_at_first_replica(tape.gradient(scaled, variables))
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if num_replicas() > 1 and all(
            map(_is_mean_over_rows, keras.tree.flatten(self.loss))
        ):
            rows = tf.cast(_rows(x), loss.dtype)
            mean = sum_over_replicas(rows) / num_replicas()
            loss *= tf.math.divide_no_nan(rows, mean)
        return mean_over_replicas(loss)

    def _make_function(self, step: Callable[[Any], Any]) -> Callable[..., Any]:
        self._check_strategy()
        if not self._is_multi_worker():
            return super()._make_function(step)

        def step_with_rows(data: Any) -> Any:
            return keras.tree.map_structure(
                lambda number: tf.reshape(number, [1]), step(data)
            )

        return super()._make_function(step_with_rows)

    def _maybe_symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        strategy = self._distribute_strategy
        if strategy is not None and iterator is not None:
            # An order of the data is spent by looking at it.
            if not self._is_all_built():
                _, _, batches = next(iter(iterator))
                data_batch = keras.tree.map_structure(
                    lambda value: strategy.experimental_local_results(value)[0],
                    next(batches),
                )
            iterator = None
        super()._maybe_symbolic_build(iterator, data_batch)

    def _is_multi_worker(self) -> bool:
        """Whether there are other processes, asked as Keras does."""
        strategy = self.distribute_strategy
        return (
            isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
            and strategy.extended._in_multi_worker_mode()
        )

    def _check_strategy(self) -> None:
        """Refuse what TensorFlow fails at where replicas wait in a loop."""
        strategy = self.distribute_strategy
        replicas = strategy.num_replicas_in_sync
        if replicas == 1 or not isinstance(
            strategy,
            tf.distribute.MirroredStrategy
            | tf.distribute.MultiWorkerMirroredStrategy,
        ):
            return
        for owner, name in (
            (self, "steps_per_execution"),
            (self.optimizer, "gradient_accumulation_steps"),
        ):
            steps = getattr(owner, name, None)
            if steps is not None and steps > 1:
                raise ValueError(
                    f"`{name}` must be 1 on several replicas. "
                    f"Received: {name}={steps}, and {replicas} replicas"
                )

    def _is_all_built(self) -> bool:
        """Whether Keras would make no variable more at a first batch."""
        parts = [
            *self._flatten_layers(),
            self._compile_metrics,
            self._compile_loss,
        ]
        return all(part.built for part in parts if part is not None)


def _is_mean_over_rows(loss: Any) -> bool:
    """Whether a loss is a mean over what one replica has."""
    reduction = getattr(loss, "reduction", "sum_over_batch_size")
    return not isinstance(loss, MaskedCrossentropy) and reduction in (
        "mean",
        "sum_over_batch_size",
    )


def _rows(x: Any) -> Any:
    """The number of rows of a batch."""
    return tf.shape(
        next(one for one in keras.tree.flatten(x) if one is not None)
    )[0]


def _clips(optimizer: Any) -> bool:
    """Whether an optimizer changes a gradient that is too long."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    names = ("clipnorm", "global_clipnorm", "clipvalue")
    return any(getattr(inner, name, None) for name in names)
