"""The encoder-decoder."""

from typing import Any

import keras
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule

from keras_recurrent.layers import for_export
from keras_recurrent.models.decoder import Decoder
from keras_recurrent.models.decoding.beam_search import beam_search
from keras_recurrent.models.decoding.constraints import (
    UNCONSTRAINED,
    Constraints,
)
from keras_recurrent.models.decoding.greedy_search import greedy_search
from keras_recurrent.models.decoding.hypotheses import Hypotheses
from keras_recurrent.models.decoding.ranking import LengthPenalty, Ranking
from keras_recurrent.models.decoding.sampling import sample
from keras_recurrent.models.decoding.scoring import score_target
from keras_recurrent.models.decoding.step import Step
from keras_recurrent.models.encoder import Encoder
from keras_recurrent.models.guided_attention import guided_attention_loss
from keras_recurrent.models.scheduled_sampling import scheduled_sampling
from keras_recurrent.models.token_ids import check_inputs, token_ids
from keras_recurrent.models.training_without_logits import (
    TrainingWithoutLogits,
)


@keras.saving.register_keras_serializable(package="keras_recurrent")
class Seq2Seq(TrainingWithoutLogits):
    """Encoder-decoder with attention.

    Trained with teacher forcing: given the source and the target shifted
    right, it returns the logits of the target. Token id 0 is padding.

    What `model.save("model.keras")` has written is loaded by
    `keras.saving.load_model`, in a process that has imported
    `keras_recurrent.models`: Keras imports no module itself, and fails with
    "Could not locate class". Layers may be quantized, or be given LoRA, which
    is merged into the weights of a file.

    Args:
        encoder: The encoder.
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

    Call arguments:
        inputs: {"source": (B, S), "target": (B, T)}, integers, 0 where
            padded, or ragged tensors, but no lists, which Keras refuses;
            "target" is the start token followed by the target without its
            last token.
            With `guided_attention` "alignments" (B, T, S), too: which source
            positions each token that is to be predicted belongs to.
            With "labels" (B, T), 0 where padded, and "token_weights" (B, T),
            a model compiled with `MaskedCrossentropy` returns the loss,
            without having all logits at a time.
        training: Whether to apply dropout.

    Returns:
        The logits (B, T, V), float32, or a `Crossentropy`.

    Raises:
        ValueError: `sampling_probability` is not in [0, 1],
            `guided_attention` is negative, or the inputs are not such.

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
        encoder: Encoder,
        decoder: Decoder,
        start_id: int = 2,
        end_id: int = 3,
        sampling_probability: float | LearningRateSchedule = 0.0,
        guided_attention: float = 0.0,
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
        if guided_attention < 0:
            raise ValueError(
                "`guided_attention` must not be negative. "
                f"Received: guided_attention={guided_attention}"
            )
        # The inputs are integers, and the weights of tokens need float32.
        super().__init__(autocast=False, **kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.start_id = start_id
        self.end_id = end_id
        self.sampling_probability = sampling_probability
        self.guided_attention = guided_attention
        if sampling_probability:
            self.seed_generator = keras.random.SeedGenerator()

    def build(self, input_shape: Any = None) -> None:
        encoder, decoder = self.encoder, self.decoder
        # Parts that come from a file are built already.
        if not encoder.built:
            encoder.build((None, None))
        if not decoder.built:
            decoder.build(
                (None, None),
                (None, None, encoder.memory_size),
                (None, encoder.summary_size),
            )

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        check_inputs(inputs)
        source = self._source_ids(inputs["source"])
        target = self._target_ids(inputs["target"])
        mask = source != 0
        memory, summary = self.encoder(source, mask=mask, training=training)
        if training and self.sampling_probability:
            target = self._mix(target, memory, summary, mask)
        outputs, alignments = self.decoder(
            target,
            memory,
            summary,
            memory_mask=mask,
            project=False,
            training=training,
        )
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
        if "labels" not in inputs:
            return self.decoder.logits(outputs)
        return self.crossentropy(
            outputs, inputs["labels"], inputs["token_weights"], training
        )

    def start(self, source: Any, num_tokens: int = 1) -> tuple[Step, Any]:
        """Read a batch of sources; return what decoding starts from.

        Args:
            source: (B, S), integers, 0 where padded; or rows of different
                length, as lists or a ragged tensor.
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
        source = self._source_ids(source)
        mask = source != 0
        memory, summary = self.encoder(source, mask=mask)
        return self._start_decoder(memory, summary, mask, num_tokens)

    def generate(
        self,
        source: Any,
        beam_width: int = 1,
        max_length: int = 50,
        length_penalty: LengthPenalty = 0.0,
        coverage_penalty: float = 0.0,
        n_best: int | None = None,
        num_groups: int = 1,
        diversity: float = 0.0,
        constraints: Constraints = UNCONSTRAINED,
        jit_compile: bool = False,
    ) -> Hypotheses:
        """Decode a batch of sources, in the graph.

        Args:
            source: As in `start`.
            beam_width: Number of hypotheses that are followed; 1 takes the
                most probable token at each step.
            max_length: Most tokens L of an output, the end token included.
            length_penalty: How hypotheses of different length are compared:
                the weight of the length penalty (Wu et al. 2016), or
                "average" for log-probability per token.
            coverage_penalty: Weight of the penalty for what was not attended
                to (Wu et al. 2016).
            n_best: Number K of hypotheses to return, at most `beam_width`,
                which is the default. Fewer are found sooner.
            num_groups: Number of groups of beams that are to differ.
            diversity: By how much (Vijayakumar et al. 2018).
            constraints: Rules for the tokens of an output.
            jit_compile: Whether to compile with XLA. Decoding is faster then,
                but each new shape of `source` has to be compiled first, which
                takes seconds.

        Returns:
            `Hypotheses`, best first.

        Raises:
            ValueError: an argument is out of its range, or as in `start`.
        """
        self._build_once()
        generate = self._generate_compiled if jit_compile else self._generate
        return generate(
            self._source_ids(source),
            self._kinds_of_layers(),
            beam_width=beam_width,
            max_length=max_length,
            length_penalty=length_penalty,
            coverage_penalty=coverage_penalty,
            n_best=n_best,
            num_groups=num_groups,
            diversity=diversity,
            constraints=constraints,
        )

    def sample(
        self,
        source: Any,
        seed: Any,
        num_samples: int = 1,
        max_length: int = 50,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        constraints: Constraints = UNCONSTRAINED,
    ) -> Hypotheses:
        """Draw outputs at random, in the graph.

        Args:
            source: As in `start`.
            seed: Integer; the same one draws the same outputs.
            num_samples: Number K of outputs for each source.
            max_length: Most tokens L of an output, the end token included.
            temperature: Below 1 the probable tokens become more probable.
            top_k: Draw from so many most probable tokens; None from all.
            top_p: Draw from the fewest most probable tokens that make up
                this share of the probability.
            constraints: Rules for the tokens of an output.

        Returns:
            `Hypotheses`, in the order in which they were drawn.

        Raises:
            ValueError: an argument is out of its range, or as in `start`.
        """
        self._build_once()
        return self._sample(
            self._source_ids(source),
            self._kinds_of_layers(),
            # As a tensor, a new seed needs no new graph.
            tf.cast(seed, tf.int32),
            num_samples=num_samples,
            max_length=max_length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            constraints=constraints,
        )

    def score(self, source: Any, target: Any) -> Hypotheses:
        """Score given outputs by teacher forcing, in the graph.

        Args:
            source: As in `start`.
            target: (B, L), integers, the end token where the output ends, 0
                where padded; or (B, K, L), several for each source. Rows may
                be of different length, as those of `source` may.

        Returns:
            `Hypotheses` of the targets, in their order.

        Raises:
            ValueError: as in `start`.
        """
        self._build_once()
        source = self._source_ids(source)
        target = self._target_ids(target, ranks=(2, 3))
        if target.shape.rank == 2:
            # One graph serves both.
            target = target[:, tf.newaxis]
        return self._score(source, self._kinds_of_layers(), target)

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
            specs = {
                "source": tf.TensorSpec((None, None), tf.int32, "source"),
                "target": tf.TensorSpec((None, None), tf.int32, "target"),
            }
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
            "encoder": serialize(self.encoder),
            "decoder": serialize(self.decoder),
            "start_id": self.start_id,
            "end_id": self.end_id,
            "sampling_probability": serialize(self.sampling_probability),
            "guided_attention": self.guided_attention,
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
                    "encoder": deserialize(config["encoder"]),
                    "decoder": deserialize(config["decoder"]),
                    "sampling_probability": deserialize(
                        config["sampling_probability"]
                    ),
                }
            )
        )

    def _source_ids(self, source: Any) -> Any:
        return token_ids("source", source, self.encoder.vocabulary_size)

    def _target_ids(self, target: Any, ranks: tuple[int, ...] = (2,)) -> Any:
        size = self.decoder.vocabulary_size
        return token_ids("target", target, size, ranks)

    def _kinds_of_layers(self) -> str:
        """Return what the graphs depend on, of all layers of Keras.

        A graph that was made before a layer was quantized, or given LoRA,
        would go on with the weights that it had.
        """
        # One string, as each argument of a `tf.function` takes time.
        return " ".join(
            f"{layer.dtype_policy.name},{layer.lora_enabled}"
            for layer in self._flatten_layers()
            if hasattr(layer, "lora_enabled")
        )

    def _generate_with(
        self,
        source: Any,
        kinds_of_layers: str,
        beam_width: int,
        max_length: int,
        n_best: int | None,
        num_groups: int,
        length_penalty: LengthPenalty,
        coverage_penalty: float,
        **options: Any,
    ) -> Hypotheses:
        step, state = self.start(source, beam_width * max_length)
        start_ids = self._start_ids(source)
        if beam_width == num_groups == 1 and n_best in (None, 1):
            found = greedy_search(
                step,
                state,
                start_ids,
                end_id=self.end_id,
                max_length=max_length,
                constraints=options["constraints"],
            )
            ranking = Ranking(length_penalty, coverage_penalty, source != 0)
            return ranking.rescore(found, self.end_id)
        return beam_search(
            step,
            state,
            start_ids,
            end_id=self.end_id,
            max_length=max_length,
            beam_width=beam_width,
            n_best=n_best,
            length_penalty=length_penalty,
            coverage_penalty=coverage_penalty,
            source_mask=source != 0,
            num_groups=num_groups,
            **options,
        )

    _generate = tf.function(
        _generate_with, autograph=False, reduce_retracing=True
    )
    _generate_compiled = tf.function(
        _generate_with, autograph=False, jit_compile=True
    )

    @tf.function(autograph=False, reduce_retracing=True)
    def _sample(
        self,
        source: Any,
        kinds_of_layers: str,
        seed: Any,
        num_samples: int,
        max_length: int,
        **options: Any,
    ) -> Hypotheses:
        step, state = self.start(source, num_samples * max_length)
        return sample(
            step,
            state,
            self._start_ids(source),
            end_id=self.end_id,
            seed=seed,
            num_samples=num_samples,
            max_length=max_length,
            **options,
        )

    @tf.function(autograph=False, reduce_retracing=True)
    def _score(
        self, source: Any, kinds_of_layers: str, target: Any
    ) -> Hypotheses:
        step, state = self.start(source)
        return score_target(
            step, state, self._start_ids(source), target, end_id=self.end_id
        )

    def _start_decoder(
        self, memory: Any, summary: Any, mask: Any, num_tokens: int = 1
    ) -> tuple[Step, Any]:
        prepared, state = self.decoder.start(memory, summary, mask)
        # Twice as many, as outputs may well be shorter than they can be.
        worth_a_table = 2 * self.decoder.vocabulary_size
        table = None
        if (memory.shape[0] or 1) * num_tokens >= worth_a_table:
            table = self.decoder.input_table()

        def step(ids: Any, state: Any) -> tuple[Any, Any, Any]:
            return self.decoder.step(ids, state, prepared, table)

        return step, state

    def _mix(self, target: Any, memory: Any, summary: Any, mask: Any) -> Any:
        """Replace some tokens of the target, see `scheduled_sampling`."""
        probability = self.sampling_probability
        if isinstance(probability, LearningRateSchedule):
            steps = self.optimizer.iterations if self.compiled else 0
            probability = probability(steps)
        chance, uniform = (
            keras.random.uniform(tf.shape(target), seed=self.seed_generator)
            for _ in range(2)
        )
        step, state = self._start_decoder(memory, summary, mask)
        return tf.stop_gradient(
            scheduled_sampling(
                step, state, target, chance < probability, uniform
            )
        )

    def _start_ids(self, source: Any) -> Any:
        return tf.fill((tf.shape(source)[0],), self.start_id)
