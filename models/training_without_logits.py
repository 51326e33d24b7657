"""How an encoder-decoder is trained without all the logits of a batch."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_recurrent.models.decoder import Decoder
from keras_recurrent.models.encoder import Encoder
from keras_recurrent.models.first_batches import first_batches
from keras_recurrent.models.guided_attention import num_guided
from keras_recurrent.models.learning_check import LearningCheck
from keras_recurrent.models.masked_accuracy import MaskedAccuracy
from keras_recurrent.models.masked_crossentropy import MaskedCrossentropy
from keras_recurrent.models.projected_crossentropy import (
    Crossentropy,
    projected_crossentropy,
)
from keras_recurrent.models.token_frequencies import count_tokens
from keras_recurrent.models.token_ids import check_inputs, padded
from keras_recurrent.models.token_weights import (
    sum_over_replicas,
    token_weights_of,
)

_OUTSIDE = "must be ids of the vocabulary"


class TrainingWithoutLogits(keras.Model):
    """What `fit` and `evaluate` of a `Seq2Seq` do with labels.

    The journey of labels: `train_step` (and `test_step`) makes a weight for
    each token out of the weights of sentences, tokens and classes. If the loss
    is `MaskedCrossentropy`, and no metric asks for logits, it puts labels and
    the weights with which they are in the loss among the inputs. Then `call`
    does not return logits but, by `crossentropy`, a `Crossentropy`: the loss,
    made a few tokens at a time, and the predictions if a metric asks for them.
    `compute_loss` and `compute_metrics` take these. With any other loss or
    metric, all logits are made and Keras does the rest.

    A subclass has an `encoder`, a `decoder` and a `build` without arguments.
    """

    encoder: Encoder
    decoder: Decoder

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._class_weights: np.ndarray | None = None

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train, as Keras has it.

        A model that has never been trained starts from the frequencies of
        tokens, see `Decoder.adapt`, counted from `y`, or from the first 64
        batches. And there is a warning if it stops to learn, see
        `LearningCheck`.

        Args:
            class_weight: The weight of each token by its label; 1 if it is not
                named. It is multiplied with `sample_weight`, if there is one.
            x, y, batch_size, epochs, verbose, callbacks, validation_split,
                validation_data, shuffle: As in `keras.Model.fit`.
            **kwargs: The other arguments of `keras.Model.fit`.

        Raises:
            ValueError: labels or ids are not in the vocabulary, or weights are
                of a shape that does not belong to the labels.
        """
        self._weigh_classes(class_weight)
        batches, x = first_batches(x, y)
        # Without an optimizer Keras refuses below.
        if batches and self.optimizer is not None:
            check = self._begin(batches)
            if isinstance(callbacks, keras.callbacks.CallbackList):
                callbacks.append(check)
            else:
                callbacks = [*keras.tree.flatten(callbacks or []), check]
        with _own_errors():
            return super().fit(
                x,
                y,
                batch_size,
                epochs,
                verbose,
                callbacks,
                validation_split,
                validation_data,
                shuffle,
                **kwargs,
            )

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Return loss and metrics, as Keras has it."""
        with _own_errors():
            return super().evaluate(*args, **kwargs)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Make one step of training, as Keras has it; see `fit`."""
        self._weigh_classes(class_weight)
        with _own_errors():
            return super().train_on_batch(
                x, y, sample_weight, return_dict=return_dict
            )

    def make_train_function(self, force: bool = False) -> None:
        # With variables made in it the graph would have to be traced twice.
        self._build_once()
        with self.distribute_strategy.scope():
            if self.optimizer is not None and not self.optimizer.built:
                self.optimizer.build(self.trainable_variables)
        super().make_train_function(force)

    def train_step(self, data: Any) -> Any:
        return super().train_step(self._with_labels(data, self._class_weights))

    def test_step(self, data: Any) -> Any:
        return super().test_step(self._with_labels(data))

    def crossentropy(
        self, outputs: Any, labels: Any, token_weights: Any, training: bool
    ) -> Crossentropy:
        """Return the loss of what the decoder made, y (B, T, U)."""
        return projected_crossentropy(
            outputs,
            *self.decoder.output_weights(),
            labels,
            token_weights,
            self.loss.label_smoothing,
            training,
            predict=bool(self._metrics_asked_for()),
        )

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        replicas = _num_replicas()
        if isinstance(y_pred, Crossentropy):
            # Keras sums the losses of the replicas.
            loss = y_pred.loss + sum(self.losses) / replicas
        else:
            loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if replicas == 1:
            return loss
        # The gradient is that of this replica's share, the value, of which
        # Keras reports the mean, what all replicas have together.
        whole = sum_over_replicas(tf.stop_gradient(loss)) / replicas
        return loss + tf.stop_gradient(whole - loss)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        if isinstance(y_pred, Crossentropy):
            y_pred = y_pred.predictions
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _begin(self, batches: list[tuple[Any, Any]]) -> LearningCheck:
        """Start from the frequencies of tokens, and see that it learns."""
        inputs, first_labels = batches[0]
        check_inputs(inputs)
        self._build_once()
        decoder = self.decoder
        size = decoder.vocabulary_size
        counts = np.zeros(size, int)
        for _, labels in batches:
            counts += count_tokens(labels, size)
        steps = keras.ops.convert_to_numpy(self.optimizer.iterations)
        if not (decoder.is_adapted or steps):
            decoder.adapt_to_counts(counts)
        return LearningCheck(inputs, first_labels, counts)

    def _build_once(self) -> None:
        if not self.built:
            with self.distribute_strategy.scope():
                self.build()

    def _weigh_classes(self, class_weight: dict[int, float] | None) -> None:
        """Have `train_step` weigh tokens by their labels from now on."""
        size = self.decoder.vocabulary_size
        weights: np.ndarray | None = None
        if class_weight is not None:
            weights = np.ones(size, "float32")
            for label, weight in class_weight.items():
                if not 0 <= label < size:
                    raise ValueError(
                        f"`class_weight` {_OUTSIDE}, from 0 to {size - 1}. "
                        f"Received: class_weight of {label}"
                    )
                weights[label] = weight
        if weights is not None or self._class_weights is not None:
            self._class_weights = weights
            # The weights are part of its graph.
            self.train_function = None

    def _metrics_asked_for(self) -> list[Any]:
        """The metrics of `compile`, as Keras keeps them."""
        compiled = self._compile_metrics
        if compiled is None:
            return []
        asked = (compiled._user_metrics, compiled._user_weighted_metrics)
        return [one for one in keras.tree.flatten(asked) if one is not None]

    def _needs_logits(self) -> bool:
        """Whether Keras is to compute loss and metrics, of all logits."""
        return not (
            type(self.loss) is MaskedCrossentropy
            and self.decoder.projects_by_product
            and self.loss.reduction not in (None, "none")
            and self._compile_loss._user_loss_weights is None
            and all(
                isinstance(metric, MaskedAccuracy)
                for metric in self._metrics_asked_for()
            )
        )

    def _with_labels(self, data: Any, class_weights: Any = None) -> Any:
        """Weigh each token; give the labels to the model, if it needs them.

        Args:
            data: Inputs, labels (B, T), and weights of sentences or tokens.
            class_weights: (V,), the weights of tokens by their label, or None.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        check_inputs(x)
        y, sample_weight = padded(y), padded(sample_weight)
        if y is None or not y.dtype.is_integer or y.shape.rank not in (2, None):
            if type(self.loss) is MaskedCrossentropy or (
                class_weights is not None
            ):
                raise ValueError(
                    "Labels must be integers (B, T). Received: "
                    + (f"{y.dtype.name} {y.shape}" if y is not None else "none")
                )
            return data
        sizes = self.encoder.vocabulary_size, self.decoder.vocabulary_size
        source, known = self._checked("Sources", x["source"], sizes[0])
        target, read = self._checked("Targets", x["target"], sizes[1])
        y, inside = self._checked("Labels", y, sizes[1])
        x = {**x, "source": source, "target": target}
        if "alignments" in x:
            # Here, as replicas that wait for each other within a call would
            # mix what they add to the loss. Keras takes the mean of that.
            count = sum_over_replicas(num_guided(x["alignments"]))
            x["num_guided"] = count / _num_replicas()
        if sample_weight is not None:
            sample_weight = token_weights_of(sample_weight, y, "float32")
        if class_weights is not None:
            weights = tf.gather(class_weights, y)
            sample_weight = weights * (
                1.0 if sample_weight is None else sample_weight
            )
        if not self._needs_logits():
            weights = self.loss.token_weights(y, sample_weight)
            # Rather than a wrong loss where nothing can be refused.
            inside &= known & read
            weights = tf.where(inside, weights, float("nan"))
            x = {**x, "labels": y, "token_weights": weights}
        return x, y, sample_weight

    def _checked(self, name: str, ids: Any, size: int) -> tuple[Any, Any]:
        """Refuse ids that are outside of their vocabulary.

        Look-ups would do so too, but not where XLA compiles them; there
        nothing can be refused.

        Returns:
            The ids, and whether all are inside.
        """
        ids = padded(ids)
        least, most = tf.reduce_min(ids), tf.reduce_max(ids)
        # Of no ids at all, neither is outside.
        inside = (tf.size(ids) == 0) | ((least >= 0) & (most < size))
        if self.jit_compile:
            return ids, inside
        what = f"{name} {_OUTSIDE}, from 0 to {size - 1}. Received: ids from"
        check = tf.debugging.Assert(inside, [what, least, "to", most])
        # Eagerly it has been made already, and is None.
        with tf.control_dependencies([] if check is None else [check]):
            return tf.identity(ids), inside


def _num_replicas() -> int:
    return tf.distribute.get_strategy().num_replicas_in_sync


@contextlib.contextmanager
def _own_errors() -> Iterator[None]:
    """Say what `_checked` found rather than where TensorFlow found it."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        before, found, after = error.message.partition(_OUTSIDE)
        if not found:
            raise
        start = before.rpartition("[")[2]
        message = (start + found + after.splitlines()[0]).replace("] [", " ")
        raise ValueError(message.rstrip("]")) from None
