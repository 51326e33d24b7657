"""How an encoder-decoder is trained without all the logits of a batch.

Longer than other files: labels pass through a dozen methods of `keras.Model`,
and their journey is told in one place.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_recurrent.models.decoder import Decoder
from keras_recurrent.models.encoder import Encoder
from keras_recurrent.models.first_batches import first_batches
from keras_recurrent.models.guided_attention import num_guided
from keras_recurrent.models.known_ids import known_ids, plain_errors
from keras_recurrent.models.learning_check import LearningCheck
from keras_recurrent.models.loss_of_logits import check_reads_logits
from keras_recurrent.models.masked_accuracy import MaskedAccuracy
from keras_recurrent.models.masked_crossentropy import MaskedCrossentropy
from keras_recurrent.models.mean_loss import MeanLoss
from keras_recurrent.models.multi_worker import MultiWorkerTraining
from keras_recurrent.models.projected_crossentropy import (
    Crossentropy,
    projected_crossentropy,
)
from keras_recurrent.models.replicas import (
    mean_over_replicas,
    num_replicas,
    sum_over_replicas,
)
from keras_recurrent.models.token_features import known_features
from keras_recurrent.models.token_frequencies import count_tokens
from keras_recurrent.models.token_ids import (
    check_inputs,
    check_labels,
    padded,
)
from keras_recurrent.models.token_weights import (
    token_weights_of,
    weights_of_classes,
)

# Batches that are looked at before training: enough to know how frequent the
# frequent tokens are, and later on how good it is to know no more.
_FIRST_BATCHES, _LATER_BATCHES = 64, 4


class TrainingWithoutLogits(MultiWorkerTraining, keras.Model):
    """What `fit` and `evaluate` of a `Seq2Seq` do with labels.

    The journey of labels: `train_step` (and `test_step`) makes a weight for
    each token out of the weights of sentences, tokens and classes. If the loss
    is `MaskedCrossentropy`, and no metric asks for logits, it puts labels and
    the weights with which they are in the loss among the inputs. Then `call`
    does not return logits but, by `crossentropy`, a `Crossentropy`: the loss,
    made a few tokens at a time, and the predictions if a metric asks for them.
    `compute_loss` and `compute_metrics` take these. With any other loss or
    metric, all logits are made and Keras does the rest.

    A subclass has `encoders`, a `decoder` and a `build` without arguments.
    """

    decoder: Decoder
    coverage: float

    @property
    def encoders(self) -> dict[str, Encoder]:
        """The encoders, by the names of what they read among the inputs."""
        raise NotImplementedError

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._class_weights: Any = None

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
        is_new = self._is_new()
        count = _FIRST_BATCHES if is_new else _LATER_BATCHES
        batches, x = first_batches(x, y, count)
        # Without an optimizer Keras refuses below.
        if batches and self.optimizer is not None:
            check = self._begin(batches, is_new)
            if isinstance(callbacks, keras.callbacks.CallbackList):
                callbacks.append(check)
            else:
                callbacks = [*keras.tree.flatten(callbacks or []), check]
        with plain_errors():
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
        with plain_errors():
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
        with plain_errors():
            return super().train_on_batch(
                x, y, sample_weight, return_dict=return_dict
            )

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Return loss and metrics of one batch, as Keras has it."""
        with plain_errors():
            return super().test_on_batch(*args, **kwargs)

    def make_train_function(self, force: bool = False) -> None:
        # With variables made in it the graph would have to be traced twice.
        self._build_once()
        self._build_optimizer()
        self._report_by_tokens()
        super().make_train_function(force)

    def make_test_function(self, force: bool = False) -> None:
        self._report_by_tokens()
        super().make_test_function(force)

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
        # Read before the loss, for which replicas wait for each other: each
        # call of the model puts its own in the place of these.
        added = [self._aggregate_additional_loss(one) for one in self.losses]
        if isinstance(y_pred, Crossentropy):
            loss = mean_over_replicas(y_pred.loss)
        elif self.loss is None:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        else:
            check_reads_logits(self.loss)
            loss = self._compile_loss(y, y_pred, sample_weight)
            # Those of others are means over what one replica has.
            if all(
                isinstance(one, MaskedCrossentropy)
                and one.reduction not in (None, "none")
                for one in keras.tree.flatten(self.loss)
            ):
                loss = mean_over_replicas(loss)
        if added:
            loss += mean_over_replicas(sum(added))
        tracker = self._loss_tracker
        if type(self.loss) is MaskedCrossentropy and isinstance(
            tracker, MeanLoss
        ):
            # Last: where replicas wait, others would put theirs in its place.
            tracker.next_weight = self.loss.weight_of_batch(y, sample_weight)
        return loss

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        if isinstance(y_pred, Crossentropy):
            y_pred = y_pred.predictions
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _report_by_tokens(self) -> None:
        """Have the loss of several batches reported as a mean over tokens."""
        if type(self._loss_tracker) is keras.metrics.Mean:
            with self.distribute_strategy.scope():
                # Not tracked as a part of the model, as Keras's own is not.
                self.__dict__["_loss_tracker"] = MeanLoss()

    def _begin(
        self, batches: list[tuple[Any, Any]], is_new: bool
    ) -> LearningCheck:
        """Start from the frequencies of tokens, and see that it learns."""
        inputs, first_labels = batches[0]
        check_inputs(inputs)
        check_labels(first_labels, inputs["target"])
        self._build_once()
        decoder = self.decoder
        size = decoder.logits_size
        counts = np.zeros(size, int)
        for _, labels in batches:
            counts += count_tokens(labels, size)
        if is_new:
            decoder.adapt_to_counts(counts)
        return LearningCheck(inputs, first_labels, counts)

    def _is_new(self) -> bool:
        """Whether the model has never been trained."""
        decoder = self.decoder
        if self.optimizer is None or (decoder.built and decoder.is_adapted):
            return False
        return not keras.ops.convert_to_numpy(self.optimizer.iterations)

    def _build_once(self) -> None:
        if not self.built:
            with self.distribute_strategy.scope():
                self.build()

    def _build_optimizer(self) -> None:
        if self.optimizer is not None and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

    def _weigh_classes(self, class_weight: dict[int, float] | None) -> None:
        """Have `train_step` weigh tokens by their labels from now on."""
        size = self.decoder.logits_size
        weights: Any = weights_of_classes(class_weight, size)
        if not np.array_equal(weights, self._class_weights):
            # The weights are part of its graph.
            self.train_function = None
        self._class_weights = weights

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
            and not self.decoder.copying
            and self.decoder.projects_by_product
            and self.loss.reduction not in (None, "none")
            and self._compile_loss._user_loss_weights is None
            and all(
                # One made from it may want the logits.
                type(metric) is MaskedAccuracy
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
        if class_weights is not None or type(self.loss) is MaskedCrossentropy:
            check_labels(y, padded(x["target"]))
        elif y is None or not (
            y.dtype.is_integer and y.shape.rank in (2, None)
        ):
            return data
        size, compiled = self.decoder.logits_size, self.jit_compile
        y, inside = known_ids("Labels", y, size, compiled)
        read = {"target": ("Targets", size)} | {
            name: ("Sources", encoder.vocabulary_size)
            for name, encoder in self.encoders.items()
        }
        if self.decoder.copying:
            read["copies"] = ("Copies", size)
        x = dict(x)
        for name, (what, size) in read.items():
            if name in x:  # What is missing is told by `call`.
                ids = padded(x[name])
                x[name], known = known_ids(what, ids, size, compiled)
                inside &= known
        feature_sizes = self.encoders["source"].feature_sizes
        if feature_sizes and "features" in x:
            ids = padded(x["features"])
            x["features"], known = known_features(ids, feature_sizes, compiled)
            inside &= known
        target = x["target"]
        if "alignments" in x:
            # Here, as replicas that wait for each other within a call would
            # mix what they add to the loss. Keras takes the mean of that.
            count = sum_over_replicas(num_guided(x["alignments"]))
            x["num_guided"] = count / num_replicas()
        if self.coverage:
            count = tf.math.count_nonzero(target, dtype=tf.float32)
            x["num_tokens"] = sum_over_replicas(count) / num_replicas()
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
            weights = tf.where(inside, weights, float("nan"))
            weights = tf.cast(weights, tf.float32)
            x = {**x, "labels": y, "token_weights": weights}
        return x, y, sample_weight
