"""A warning if a model has stopped to learn."""

import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_recurrent.models.token_frequencies import log_frequencies
from keras_recurrent.models.token_ids import padded

# What is looked at after an epoch: so many sentences, and positions of them;
# few of these, as a look runs step by step.
_SENTENCES, _POSITIONS = 64, 10
# Before so many steps nothing can be said of the outputs, and of the loss.
_STEPS_OF_OUTPUTS, _STEPS_OF_LOSS = 50, 300
# Outputs are constant if they vary over tokens by less than this share of
# their size; a unit is saturated if it is closer than this to its bound.
_SPREAD, _SATURATED = 0.02, 0.01
# With a training loss below this share of that of the frequencies of tokens,
# outputs cannot be constant.
_LEARNS = 0.9


class LearningCheck(keras.callbacks.Callback):
    """Warns once if a `Seq2Seq` does no better than the frequencies of tokens.

    After the first 50 steps, and after twice as many again and again, unless
    the training loss shows that all is well, it looks at what the decoder makes
    of a few sentences:

    - are the outputs y the same for all tokens, and their units saturated?
      Then their gradient is gone, and the model will not recover;
    - is the loss no better than that of a model which always predicts the
      frequencies of tokens?

    `Seq2Seq.fit` has it among its callbacks.

    Args:
        inputs: {"source": (B, S), "target": (B, T)}, integers, and what else
            there is in a call of the model; few are enough.
        labels: (B, T), integers, 0 where padded.
        counts: (V,), how often each token occurs, from `count_tokens`.
    """

    def __init__(self, inputs: Any, labels: Any, counts: np.ndarray) -> None:
        super().__init__()
        self.sample = {
            name: padded(ids[:_SENTENCES])
            for name, ids in (inputs | {"labels": labels}).items()
            if name in ("target", "copies", "features", "labels")
            or "source" in name
        }
        self.log_frequencies = tf.constant(log_frequencies(counts))
        # The mean loss of a model that knows nothing but them.
        self.entropy = -np.sum(counts * self.log_frequencies) / max(
            counts.sum(), 1
        )
        self.warned = False
        self.next_look = _STEPS_OF_OUTPUTS

    def on_train_begin(self, logs: Any = None) -> None:
        self.next_look = self._steps() + _STEPS_OF_OUTPUTS

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        steps = self._steps()
        learns = (logs or {}).get("loss", np.inf) < _LEARNS * self.entropy
        if self.warned or learns or steps < self.next_look:
            return
        # A look takes as long as some steps of training, so the more of these
        # there were, the later is the next.
        self.next_look = 2 * steps
        if steps < _STEPS_OF_LOSS:
            self.next_look = min(self.next_look, _STEPS_OF_LOSS)
        outputs, losses, baseline = self._look()
        spread = tf.math.reduce_std(outputs, axis=0) / (
            tf.sqrt(tf.reduce_mean(outputs**2, axis=0)) + 1e-9
        )
        constant = float(tf.reduce_mean(spread)) < _SPREAD
        if constant or (steps >= _STEPS_OF_LOSS and losses > 0.99 * baseline):
            self.warned = True
            warnings.warn(
                self._message(epoch, outputs, losses, baseline, constant),
                stacklevel=2,
            )

    def _steps(self) -> int:
        return int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))

    def _look(self) -> tuple[Any, float, float]:
        """Return y of all tokens (N, U), their loss, and the baseline."""
        sample = {
            name: tf.convert_to_tensor(ids)[:, :_POSITIONS]
            for name, ids in self.sample.items()
        }
        labels = sample.pop("labels")
        outputs, logits = self.model.outputs_and_logits(sample)
        real = labels != 0
        labels = tf.boolean_mask(labels, real)
        outputs = tf.boolean_mask(outputs, real)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels, tf.boolean_mask(logits, real)
        )
        baseline = -tf.gather(self.log_frequencies, labels)
        return (
            tf.cast(outputs, tf.float32),
            float(tf.reduce_mean(losses)),
            float(tf.reduce_mean(baseline)),
        )

    def _message(
        self,
        epoch: int,
        outputs: Any,
        loss: float,
        baseline: float,
        constant: bool,
    ) -> str:
        found = (
            f"after epoch {epoch + 1} the loss of some training sentences is "
            f"{loss:.2f}, where always predicting the frequencies of tokens "
            f"gives {baseline:.2f}"
        )
        if constant:
            share = tf.abs(outputs) > 1 - _SATURATED
            share = tf.reduce_mean(tf.cast(share, tf.float32))
            found += (
                "; the outputs of the decoder are the same for all tokens "
                f"({float(share):.0%} of the units saturated)"
            )
        return (
            f"The model seems to have stopped to learn: {found}. Try a lower "
            "learning rate, gradients clipped (`global_clipnorm=1.0`), and "
            "`model.decoder.adapt(labels)` before a new `fit`; and see whether "
            "sources and targets belong together."
        )
