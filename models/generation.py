"""Whole outputs of an encoder-decoder, found in the graph."""

from typing import Any

import keras
import tensorflow as tf

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


class Generation(keras.Model):
    """The part of `Seq2Seq` that searches, samples and scores.

    Each method checks its arguments and calls a `tf.function`, which asks
    `start` for the step of the decoder and hands it to a search of `decoding/`.
    """

    start_id: int
    end_id: int

    def start(self, source: Any, num_tokens: int = 1) -> tuple[Step, Any]:
        """Read a batch of sources; return what decoding starts from."""
        raise NotImplementedError

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
            self._sources(source),
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
            self._sources(source),
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
        source = self._sources(source)
        target = self._target_ids(target, ranks=(2, 3))
        if target.shape.rank == 2:
            # One graph serves both.
            target = target[:, tf.newaxis]
        return self._score(source, self._kinds_of_layers(), target)

    def _build_once(self) -> None:
        raise NotImplementedError

    def _sources(self, source: Any) -> dict[str, Any]:
        """Return what `start` reads of a batch, by name, as tensors."""
        raise NotImplementedError

    @property
    def unknown_copies(self) -> int | None:
        """How many unknown tokens of a source can be copied.

        None if none at all can be; otherwise alignments of a step have the
        probability of copying behind them.
        """
        raise NotImplementedError

    def _target_ids(self, target: Any, ranks: tuple[int, ...] = (2,)) -> Any:
        raise NotImplementedError

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
        source: dict[str, Any],
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
        mask = source["source"] != 0
        if self.unknown_copies is not None:
            # Copying is no position that is to be covered.
            mask = tf.pad(mask, [[0, 0], [0, 1]])
        if beam_width == num_groups == 1 and n_best in (None, 1):
            found = greedy_search(
                step,
                state,
                start_ids,
                end_id=self.end_id,
                max_length=max_length,
                constraints=options["constraints"],
            )
            ranking = Ranking(length_penalty, coverage_penalty, mask)
            return self._with_copied(ranking.rescore(found, self.end_id))
        found = beam_search(
            step,
            state,
            start_ids,
            end_id=self.end_id,
            max_length=max_length,
            beam_width=beam_width,
            n_best=n_best,
            length_penalty=length_penalty,
            coverage_penalty=coverage_penalty,
            source_mask=mask,
            num_groups=num_groups,
            **options,
        )
        return self._with_copied(found)

    _generate = tf.function(
        _generate_with, autograph=False, reduce_retracing=True
    )
    _generate_compiled = tf.function(
        _generate_with, autograph=False, jit_compile=True
    )

    @tf.function(autograph=False, reduce_retracing=True)
    def _sample(
        self,
        source: dict[str, Any],
        kinds_of_layers: str,
        seed: Any,
        num_samples: int,
        max_length: int,
        **options: Any,
    ) -> Hypotheses:
        step, state = self.start(source, num_samples * max_length)
        found = sample(
            step,
            state,
            self._start_ids(source),
            end_id=self.end_id,
            seed=seed,
            num_samples=num_samples,
            max_length=max_length,
            **options,
        )
        return self._with_copied(found)

    @tf.function(autograph=False, reduce_retracing=True)
    def _score(
        self, source: dict[str, Any], kinds_of_layers: str, target: Any
    ) -> Hypotheses:
        step, state = self.start(source)
        found = score_target(
            step, state, self._start_ids(source), target, end_id=self.end_id
        )
        return self._with_copied(found)

    def _with_copied(self, found: Hypotheses) -> Hypotheses:
        """Tell alignments and the probability of copying apart.

        A search keeps of each step where it looked; copying is one more
        position there.
        """
        if self.unknown_copies is None:
            return found
        looked, copied = found.alignments[..., :-1], found.alignments[..., -1]
        return found._replace(alignments=looked, copied=copied)

    def _start_ids(self, source: dict[str, Any]) -> Any:
        return tf.fill((tf.shape(source["source"])[0],), self.start_id)
