"""The encoder-decoder."""

from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.models.decoder import Decoder
from keras_recurrent.models.decoding.beam_search import beam_search
from keras_recurrent.models.decoding.greedy_search import greedy_search
from keras_recurrent.models.decoding.hypotheses import Hypotheses
from keras_recurrent.models.encoder import Encoder


@keras.saving.register_keras_serializable(package="keras_recurrent")
class Seq2Seq(keras.Model):
    """Encoder-decoder with attention.

    Trained with teacher forcing: given the source and the target shifted
    right, it returns the logits of the target. Token id 0 is padding.

    Args:
        encoder: The encoder.
        decoder: The decoder.
        start_id: The token before the first one of a target.
        end_id: The token after the last one.

    Call arguments:
        inputs: {"source": (B, S), "target": (B, T)}, integers; "target" is
            the start token followed by the target without its last token.
        training: Whether to apply dropout.

    Returns:
        The logits (B, T, V), float32.

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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.start_id = start_id
        self.end_id = end_id

    def build(self, input_shape: Any = None) -> None:
        encoder, decoder = self.encoder, self.decoder
        # Parts that come from a file are built already.
        if not encoder.built:
            encoder.build()
        if not decoder.built:
            decoder.build(
                (None, None),
                (None, None, encoder.memory_size),
                (None, encoder.summary_size),
            )

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        mask = inputs["source"] != 0
        memory, summary = self.encoder(
            inputs["source"], mask=mask, training=training
        )
        return self.decoder(
            inputs["target"],
            memory,
            summary,
            memory_mask=mask,
            training=training,
        )

    @tf.function(autograph=False, reduce_retracing=True)
    def generate(
        self,
        source: Any,
        beam_width: int = 1,
        max_length: int = 50,
        length_penalty: float = 0.0,
    ) -> Hypotheses:
        """Decode a batch of sources, in the graph.

        Args:
            source: (B, S), integers, 0 where padded.
            beam_width: Number K of hypotheses; 1 takes the most probable
                token at each step.
            max_length: Most tokens L of an output, the end token included.
            length_penalty: Weight of the length penalty (Wu et al. 2016) by
                which the beam ranks hypotheses of different length.

        Returns:
            `Hypotheses`, best first.

        Raises:
            ValueError: `beam_width` or `max_length` is not positive.
        """
        for name, value in (
            ("beam_width", beam_width),
            ("max_length", max_length),
        ):
            if value < 1:
                raise ValueError(
                    f"`{name}` must be positive. Received: {name}={value}"
                )
        mask = source != 0
        memory, summary = self.encoder(source, mask=mask)
        prepared, state = self.decoder.start(memory, summary, mask)

        def step(ids: Any, state: Any) -> tuple[Any, Any, Any]:
            logits, alignments, state = self.decoder.step(ids, state, prepared)
            return tf.nn.log_softmax(logits), alignments, state

        start_ids = tf.fill((tf.shape(source)[0],), self.start_id)
        if beam_width == 1:
            return greedy_search(
                step,
                state,
                start_ids,
                end_id=self.end_id,
                max_length=max_length,
                length_weight=length_penalty,
            )
        return beam_search(
            step,
            state,
            start_ids,
            end_id=self.end_id,
            max_length=max_length,
            beam_width=beam_width,
            length_weight=length_penalty,
        )

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "encoder": serialize(self.encoder),
            "decoder": serialize(self.decoder),
            "start_id": self.start_id,
            "end_id": self.end_id,
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
                }
            )
        )
