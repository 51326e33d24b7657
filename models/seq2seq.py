"""The encoder-decoder.

Longer than other files: half of it is the specification of what a user calls,
and how it is saved and exported.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule

from keras_recurrent.layers import for_export
from keras_recurrent.models.coverage_loss import coverage_loss
from keras_recurrent.models.decoder import Decoder
from keras_recurrent.models.decoding.step import Step
from keras_recurrent.models.encoder import Encoder
from keras_recurrent.models.generation import Generation
from keras_recurrent.models.guided_attention import guided_attention_loss
from keras_recurrent.models.scheduled_sampling import scheduled_sampling
from keras_recurrent.models.token_features import feature_ids
from keras_recurrent.models.token_ids import check_inputs, token_ids
from keras_recurrent.models.training_without_logits import (
    TrainingWithoutLogits,
)


@keras.saving.register_keras_serializable(package="keras_recurrent")
class Seq2Seq(TrainingWithoutLogits, Generation):
    """Encoder-decoder with attention.

    Trained with teacher forcing: given the source and the target shifted
    right, it returns the logits of the target. Token id 0 is padding.

    What `model.save("model.keras")` has written is loaded by
    `keras.saving.load_model`, in a process that has imported
    `keras_recurrent.models`: Keras imports no module itself, and fails with
    "Could not locate class". Layers may be quantized, or be given LoRA, which
    is merged into the weights of a file.

    Args:
        encoder: The encoder; or several, each for a source of its own, of
            which a decoder with as many `num_sources` attends to all.
        decoder: The decoder.
        start_id: The token before the first one of a target.
        end_id: The token after the last one.
        sampling_probability: With which a token of the target is replaced by
            one of the model's own in training (scheduled sampling, Bengio et
            al. 2015): a number, or a schedule of `keras.optimizers.schedules`
            that goes by the steps of the optimizer. The tokens are drawn in a
            pass of their own, without dropout.
        guided_attention: Weight of the loss between the alignments and those
            of the inputs, see `guided_attention_loss`; without them, leave it
            at zero.
        coverage: Weight of the loss of looking again at what has been looked
            at, see `coverage_loss`.

    Call arguments:
        inputs: {"source": (B, S), "target": (B, T)}, integers, 0 where
            padded, or ragged tensors, but no lists, which Keras refuses;
            "target" is the start token followed by the target without its
            last token.
            With `guided_attention` "alignments" (B, T, S), too: which source
            positions each token that is to be predicted belongs to.
            With a decoder that copies "copies" (B, S): which token of the
            target's vocabulary, or outside of it, each source position is, 0
            where there is none to copy; with one vocabulary of both, "source".
            With several encoders "source_2" (B, S'), and so on, for the others.
            With an encoder that reads features "features" (B, S, F), 0 where
            padded.
            With "labels" (B, T), 0 where padded, and "token_weights" (B, T),
            a model compiled with `MaskedCrossentropy` returns the loss,
            without having all logits at a time.
        training: Whether to apply dropout.

    Returns:
        The logits (B, T, V), float32, or a `Crossentropy`.

    Raises:
        ValueError: `sampling_probability` is not in [0, 1],
            `guided_attention` or `coverage` is negative; a decoder is to copy
            from a pyramid, or has not as many sources as there are
            encoders; another encoder than the first one has features; or the
            inputs are not such.

    Example:

    >>> model = Seq2Seq(Encoder(30, 8, 16), Decoder(20, 8, 16))
    >>> model.build()
    >>> source = tf.constant([[4, 5, 6], [7, 8, 0]])
    >>> target = tf.constant([[2, 9, 4], [2, 5, 0]])
    >>> model({"source": source, "target": target}).shape
    TensorShape([2, 3, 20])
    >>> model.generate(source, beam_width=4, max_length=5).ids.shape
    TensorShape([2, 4, 5])
    """

    def __init__(
        self,
        encoder: Encoder | Sequence[Encoder],
        decoder: Decoder,
        start_id: int = 2,
        end_id: int = 3,
        sampling_probability: float | LearningRateSchedule = 0.0,
        guided_attention: float = 0.0,
        coverage: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if (
            not isinstance(sampling_probability, LearningRateSchedule)
            and not 0 <= sampling_probability <= 1
        ):
            raise ValueError(
                "`sampling_probability` must be in [0, 1], or a schedule. "
                f"Received: sampling_probability={sampling_probability}"
            )
        for name, weight in (
            ("guided_attention", guided_attention),
            ("coverage", coverage),
        ):
            if weight < 0:
                raise ValueError(
                    f"`{name}` must not be negative. Received: {name}={weight}"
                )
        first, *more = (
            [encoder] if isinstance(encoder, Encoder) else list(encoder)
        )
        if decoder.num_sources != 1 + len(more):
            raise ValueError(
                "`num_sources` of the decoder must be the number of encoders. "
                f"Received: num_sources={decoder.num_sources}, and "
                f"{1 + len(more)} encoders"
            )
        if decoder.copying and first.stride > 1:
            raise ValueError(
                "A decoder cannot copy single tokens from the memory of a "
                "pyramid: set `copying` or `pyramid` to False"
            )
        if any(encoder.feature_sizes for encoder in more):
            raise ValueError("Only the first encoder can have `feature_sizes`")
        # The inputs are integers, and the weights of tokens need float32.
        super().__init__(autocast=False, **kwargs)
        self.encoder = first
        self.more_encoders = more
        self.decoder = decoder
        self.start_id = start_id
        self.end_id = end_id
        self.sampling_probability = sampling_probability
        self.guided_attention = guided_attention
        self.coverage = coverage
        if sampling_probability:
            self.seed_generator = keras.random.SeedGenerator()

    def build(self, input_shape: Any = None) -> None:
        encoders, decoder = self.encoders.values(), self.decoder
        # Parts that come from a file are built already.
        for encoder in encoders:
            if not encoder.built:
                encoder.build((None, None))
        if not decoder.built:
            decoder.build(
                (None, None),
                _one_or_all(
                    [(None, None, one.memory_size) for one in encoders]
                ),
                (None, sum(one.summary_size for one in encoders)),
            )

    @property
    def encoders(self) -> dict[str, Encoder]:
        """The encoders, by the names of what they read among the inputs."""
        more = {
            f"source_{number}": encoder
            for number, encoder in enumerate(self.more_encoders, 2)
        }
        return {"source": self.encoder} | more

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        check_inputs(inputs)
        source = self._sources(inputs)
        target = self._target_ids(inputs["target"])
        outputs, target, alignments = self._run(source, target, training)
        if self.guided_attention:
            if "alignments" not in inputs:
                raise ValueError(
                    '`guided_attention` needs "alignments" (B, T, S) among the '
                    f"inputs. Received: {', '.join(inputs)}"
                )
            loss = guided_attention_loss(
                alignments, inputs["alignments"], inputs.get("num_guided")
            )
            self.add_loss(self.guided_attention * loss)
        if self.coverage:
            loss = coverage_loss(alignments, target, inputs.get("num_tokens"))
            self.add_loss(self.coverage * loss)
        if "labels" in inputs and not self.decoder.copying:
            return self.crossentropy(
                outputs, inputs["labels"], inputs["token_weights"], training
            )
        return self._logits(outputs, target, alignments, source)

    def outputs_and_logits(self, inputs: dict[str, Any]) -> tuple[Any, Any]:
        """Return the y (B, T, N) of the decoder and the logits (B, T, V).

        Args:
            inputs: As in a call, which does the same but returns logits alone.
        """
        source = self._sources(inputs)
        target = self._target_ids(inputs["target"])
        outputs, target, alignments = self._run(source, target)
        return outputs, self._logits(outputs, target, alignments, source)

    def start(self, source: Any, num_tokens: int = 1) -> tuple[Step, Any]:
        """Read a batch of sources; return what decoding starts from.

        Args:
            source: (B, S), integers, 0 where padded; or rows of different
                length, as lists or a ragged tensor. With a decoder that
                copies, several encoders or features {"source": …, "copies": …,
                "source_2": …, "features": …}, each of that kind, as in a call.
            num_tokens: How many tokens the steps will read for each source,
                at most. It changes the speed only.

        Returns:
            The step of `keras_recurrent.models.decoding`, which has the
            memory of the sources, and the state before the first token.

        Raises:
            ValueError: `source` is not such, or has ids, known when this is
                called, that are outside of the vocabulary.
        """
        self._build_once()
        source = self._sources(source)
        return self._start_decoder(*self._read(source), source, num_tokens)

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Write the model with teacher forcing as a SavedModel.

        Its endpoint `serve` takes what a call takes and returns the logits.
        How to export `generate` is told in `docs/decoding.md`.

        Args:
            filepath: Where to.
            format: What to write, see `keras.Model.export`.
            verbose: Whether to print the endpoints.
            input_signature: The specs of the inputs; by default those of the
                call arguments, with all sizes unknown.
            **kwargs: For other formats.
        """
        self._build_once()
        if input_signature is None:
            # Keras knows but those of models that were built by a call, and
            # would make them floats.
            names = [*self.encoders, "target"]
            if self.decoder.copying:
                names.append("copies")
            specs = {
                name: tf.TensorSpec((None, None), tf.int32, name)
                for name in names
            }
            if count := len(self.encoder.feature_sizes):
                specs["features"] = tf.TensorSpec(
                    (None, None, count), tf.int32, "features"
                )
            if self.guided_attention:
                specs["alignments"] = tf.TensorSpec(
                    (None, None, None), tf.float32, "alignments"
                )
            input_signature = [specs]
        with for_export():  # It is to run anywhere.
            super().export(filepath, format, verbose, input_signature, **kwargs)

    def quantize(
        self, mode: str | None = None, config: Any = None, **kwargs: Any
    ) -> None:
        """Quantize the embeddings and dense layers, as Keras has it.

        The cells and the attention stay as they are; Keras says so of each.

        Args:
            mode: "int8" or "int4"; or "float8", for training, which is for
                dense layers alone.
            config: A `keras.quantizers.QuantizationConfig`, or None.
            **kwargs: Such as `filters`, see `keras.Model.quantize`.

        Raises:
            ValueError: `mode` is "gptq" or "awq".
        """
        if mode in ("gptq", "awq"):
            raise ValueError(
                "`mode` must be 'int8', 'int4' or 'float8': a mode that is "
                "calibrated wants a stack of blocks, which an encoder-decoder "
                f"is not. Received: mode={mode!r}"
            )
        super().quantize(mode=mode, config=config, **kwargs)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "encoder": _one_or_all(
                [serialize(one) for one in self.encoders.values()]
            ),
            "decoder": serialize(self.decoder),
            "start_id": self.start_id,
            "end_id": self.end_id,
            "sampling_probability": serialize(self.sampling_probability),
            "guided_attention": self.guided_attention,
            "coverage": self.coverage,
        }

    def build_from_config(self, config: dict[str, Any]) -> None:
        # All sizes are arguments of the parts; no input shape is needed.
        self.build()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Seq2Seq":
        deserialize = keras.saving.deserialize_keras_object
        return cls(
            **(
                config
                | {
                    "encoder": (
                        [deserialize(one) for one in config["encoder"]]
                        if isinstance(config["encoder"], list)
                        else deserialize(config["encoder"])
                    ),
                    "decoder": deserialize(config["decoder"]),
                    "sampling_probability": deserialize(
                        config["sampling_probability"]
                    ),
                }
            )
        )

    @property
    def unknown_copies(self) -> int | None:
        decoder = self.decoder
        return decoder.unknown_copies if decoder.copying else None

    def _sources(self, source: Any) -> dict[str, Any]:
        given = source if isinstance(source, dict) else {"source": source}
        sizes = {
            name: encoder.vocabulary_size
            for name, encoder in self.encoders.items()
        }
        if self.decoder.copying:
            sizes["copies"] = self.decoder.logits_size
        feature_sizes = self.encoder.feature_sizes
        names = [*sizes, "features"] if feature_sizes else [*sizes]
        missing = [name for name in names if name not in given]
        if missing:
            raise ValueError(
                f"The source must have {', '.join(names)}, each (B, S), by "
                'these names ("copies" of a decoder that copies; with one '
                'vocabulary for source and target it is "source" again; '
                '"features", (B, S, F), of an encoder that reads them). '
                f"Received: {', '.join(given)}"
            )
        ids = {
            name: token_ids(name, given[name], size)
            for name, size in sizes.items()
        }
        if feature_sizes:
            ids["features"] = feature_ids(
                given["features"], ids["source"], feature_sizes
            )
        return ids

    def _target_ids(self, target: Any, ranks: tuple[int, ...] = (2,)) -> Any:
        size = self.decoder.logits_size
        return token_ids("target", target, size, ranks)

    def _run(
        self, source: dict[str, Any], target: Any, training: bool = False
    ) -> tuple[Any, Any, Any]:
        """Return y (B, T, N), the target that was read, and the alignments."""
        memory, summary, mask = self._read(source, training)
        if training and self.sampling_probability:
            target = self._mix(target, memory, summary, mask, source)
        outputs, alignments = self.decoder(
            target,
            memory,
            summary,
            memory_mask=mask,
            project=False,
            training=training,
        )
        real = source["source"] != 0
        return outputs, target, self.encoder.by_token(alignments, real)

    def _read(
        self, source: dict[str, Any], training: bool = False
    ) -> tuple[Any, Any, Any]:
        """Return memory, summary and memory mask; of several sources lists."""
        memories, summaries, masks = [], [], []
        for name, encoder in self.encoders.items():
            mask = source[name] != 0
            memory, summary = encoder(
                source[name],
                mask=mask,
                training=training,
                features=source["features"] if encoder.feature_sizes else None,
            )
            memories.append(memory)
            summaries.append(summary)
            masks.append(encoder.memory_mask(mask))
        return (
            _one_or_all(memories),
            tf.concat(summaries, -1),
            _one_or_all(masks),
        )

    def _logits(
        self, outputs: Any, target: Any, alignments: Any, source: dict[str, Any]
    ) -> Any:
        if not self.decoder.copying:
            return self.decoder.logits(outputs)
        return self.decoder.copying_logits(
            outputs, target, alignments, source["copies"]
        )

    def _start_decoder(
        self,
        memory: Any,
        summary: Any,
        mask: Any,
        source: dict[str, Any],
        num_tokens: int = 1,
    ) -> tuple[Step, Any]:
        real = source["source"] != 0
        prepared, state = self.decoder.start(memory, summary, mask)
        # Twice as many, as outputs may well be shorter than they can be.
        worth_a_table = 2 * self.decoder.vocabulary_size
        table = None
        if (real.shape[0] or 1) * num_tokens >= worth_a_table:
            table = self.decoder.input_table()

        def step(ids: Any, state: Any) -> tuple[Any, Any, Any]:
            logits, alignments, state = self.decoder.step(
                ids, state, prepared, table, source.get("copies")
            )
            if self.encoder.stride > 1:
                times = tf.shape(ids)[0] // tf.maximum(tf.shape(real)[0], 1)
                rows = tf.repeat(real, times, axis=0)
                alignments = self.encoder.by_token(alignments, rows)
            return logits, alignments, state

        return step, state

    def _mix(
        self,
        target: Any,
        memory: Any,
        summary: Any,
        mask: Any,
        source: dict[str, Any],
    ) -> Any:
        """Replace some tokens of the target, see `scheduled_sampling`."""
        probability = self.sampling_probability
        if isinstance(probability, LearningRateSchedule):
            steps = self.optimizer.iterations if self.compiled else 0
            probability = probability(steps)
        chance, uniform = (
            keras.random.uniform(tf.shape(target), seed=self.seed_generator)
            for _ in range(2)
        )
        step, state = self._start_decoder(memory, summary, mask, source)
        return tf.stop_gradient(
            scheduled_sampling(
                step, state, target, chance < probability, uniform
            )
        )


def _one_or_all(of_sources: list[Any]) -> Any:
    """Return what there is of each source, of one source just that."""
    return of_sources[0] if len(of_sources) == 1 else of_sources
