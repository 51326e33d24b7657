"""Several encoder-decoders that decode as one."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_recurrent.models.decoding.ensemble import ensemble
from keras_recurrent.models.decoding.step import Step
from keras_recurrent.models.generation import Generation
from keras_recurrent.models.seq2seq import Seq2Seq


@keras.saving.register_keras_serializable(package="keras_recurrent")
class Ensemble(Generation):
    """Encoder-decoders whose probabilities are averaged at each step.

        p(y_t | y_<t, x) = 1/N · Σ_n p_n(y_t | y_<t, x)

    and so are their alignments (Sutskever et al. 2014; Sennrich et al. 2016,
    arXiv:1606.02891). Cells, sizes and attentions of the models may differ. It
    generates, samples and scores as a `Seq2Seq` does, and is not trained: its
    models are, each for itself.

    Args:
        models: N models with the same vocabularies, which all copy or none.

    Raises:
        ValueError: there is none, or vocabularies, start or end differ.

    Example:

    >>> from keras_recurrent.models import Decoder, Encoder
    >>> models = [
    ...     Seq2Seq(Encoder(30, 8, 16), Decoder(20, 8, 16, cell=cell))
    ...     for cell in ("gru", "lstm")
    ... ]
    >>> Ensemble(models).generate([[4, 5, 6], [7]], max_length=5).ids.shape
    TensorShape([2, 1, 5])
    """

    def __init__(self, models: Sequence[Seq2Seq], **kwargs: Any) -> None:
        if not models:
            raise ValueError(
                f"`models` must not be empty. Received: models={models}"
            )
        for name, size in {
            "source vocabulary sizes": lambda m: [
                one.vocabulary_size for one in m.encoders.values()
            ],
            "`feature_sizes`": lambda m: m.encoder.feature_sizes,
            "target vocabulary size": lambda m: m.decoder.vocabulary_size,
            "`unknown_copies`": lambda m: m.unknown_copies,
            "`start_id`": lambda m: m.start_id,
            "`end_id`": lambda m: m.end_id,
        }.items():
            found = [str(size(model)) for model in models]
            if len(set(found)) > 1:
                raise ValueError(
                    f"`models` must have the same {name}. "
                    f"Received: {', '.join(found)}"
                )
        # The inputs are integers.
        super().__init__(autocast=False, **kwargs)
        self.models = list(models)
        self.start_id = models[0].start_id
        self.end_id = models[0].end_id
        self.build()

    def build(self, input_shape: Any = None) -> None:
        for model in self.models:
            if not model.built:
                model.build()

    def start(self, source: Any, num_tokens: int = 1) -> tuple[Step, Any]:
        """Read a batch of sources; return what decoding starts from.

        Args:
            source: As in `Seq2Seq.start`.
            num_tokens: How many tokens the steps will read for each source,
                at most. It changes the speed only.

        Returns:
            The step of all models, see `ensemble`, and the tuple of their
            states before the first token.

        Raises:
            ValueError: as `Seq2Seq.start`.
        """
        source = self._sources(source)
        steps, states = zip(
            *(model.start(source, num_tokens) for model in self.models),
            strict=True,
        )
        return ensemble(steps), states

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "models": [serialize(model) for model in self.models]
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Ensemble":
        deserialize = keras.saving.deserialize_keras_object
        models = [deserialize(model) for model in config["models"]]
        return cls(**(config | {"models": models}))

    def _build_once(self) -> None:
        return  # It is built from the beginning.

    @property
    def unknown_copies(self) -> int | None:
        return self.models[0].unknown_copies

    def _sources(self, source: Any) -> dict[str, Any]:
        return self.models[0]._sources(source)

    def _target_ids(self, target: Any, ranks: tuple[int, ...] = (2,)) -> Any:
        return self.models[0]._target_ids(target, ranks)
