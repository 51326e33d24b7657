"""From token ids to a memory.

Longer than other files: a third of it is the specification of what a user
calls.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from keras_recurrent.layers import GRU, LSTM, RNN
from keras_recurrent.layers.cells import get_cell
from keras_recurrent.layers.parts import parts_of
from keras_recurrent.models.embedding import token_embedding
from keras_recurrent.models.inner_policies import (
    inner_policies,
    set_inner_policies,
)
from keras_recurrent.models.pyramid import (
    any_of_pairs,
    in_pairs,
    shared_out,
)
from keras_recurrent.models.stacked_cells import (
    check_options,
    level_arguments,
)
from keras_recurrent.models.token_features import check_feature_sizes


@keras.saving.register_keras_serializable(package="keras_recurrent")
class Encoder(keras.Layer):
    """Embedding and recurrent layers that turn a sentence into a memory.

    Args:
        vocabulary_size: Number V of token ids; id 0 is padding.
        embedding_dim: Size E of the token embeddings.
        units: Units U of each layer and direction.
        cell: Name of the cell, see `layers.cells.CELLS`.
        num_layers: Number of layers.
        bidirectional: Whether each layer reads in both directions; "first":
            only the first one (GNMT, Wu et al. 2016).
        dropout: Share of each layer's inputs to drop in training.
        recurrent_dropout: Share of the recurrent state to drop in training.
        output_dropout: Share of the memory to drop in training.
        cell_options: More arguments of the cells, by name.
        embedding_dropout: Share of the embeddings' numbers to drop in training,
            others at each position.
        residual: Whether layers above the first add what they read to what
            they put out, where both have the same size.
        pyramid: Whether each layer above the first reads two steps of the one
            below as one (Chan et al. 2016, arXiv:1508.01211, section 3.1).
        summary: What is told of the whole: its "final" states, or the "mean" of
            the memory (Nematus, Sennrich et al. 2017).
        feature_sizes: Numbers of ids of the F features that each token has
            besides, such as its part of speech (Sennrich & Haddow 2016,
            arXiv:1606.02892, equation 1).
        feature_dims: Sizes of their embeddings, which are put behind that of
            the token.

    Call arguments:
        ids: (B, S), integers.
        mask: (B, S), boolean, True at the tokens that count.
        training: Whether to apply dropout.
        features: (B, S, F), integers, if there are `feature_sizes`.

    Returns:
        The memory (B, S, M), M = U or 2U if bidirectional, and a summary
        (B, N): the final states of the last layer, side by side (of cells of
        several kinds of states, those that another one may start from), or the
        mean of the memory, N = M. A memory of a pyramid has S / `stride`
        positions, rounded up; `memory_mask` says which of them count.

    Raises:
        ValueError: `num_layers` is not positive, `cell` is no such name, or
            has no such options; `bidirectional` or `summary` is no such value;
            a pyramid is to be residual; or features have not as many sizes
            and embeddings, or are not given where there are such, or given
            where there are none.

    Example:

    >>> encoder = Encoder(vocabulary_size=30, embedding_dim=8, units=4)
    >>> ids = tf.constant([[4, 5, 6], [7, 8, 0]])
    >>> memory, summary = encoder(ids, mask=ids != 0)
    >>> memory.shape.as_list(), summary.shape.as_list()
    ([2, 3, 8], [2, 8])
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int,
        units: int,
        cell: str = "gru",
        num_layers: int = 1,
        bidirectional: bool | Literal["first"] = True,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        output_dropout: float = 0.0,
        cell_options: dict[str, Any] | None = None,
        embedding_dropout: float = 0.0,
        residual: bool = False,
        pyramid: bool = False,
        summary: Literal["final", "mean"] = "final",
        feature_sizes: Sequence[int] = (),
        feature_dims: Sequence[int] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, known in (
            ("bidirectional", bidirectional, (True, False, "first")),
            ("summary", summary, ("final", "mean")),
        ):
            if value not in known:
                raise ValueError(
                    f"`{name}` must be one of {known}. "
                    f"Received: {name}={value!r}"
                )
        if residual and pyramid:
            raise ValueError(
                "`residual` and `pyramid` exclude each other: what a layer of "
                "a pyramid reads has other steps than what it puts out"
            )
        if num_layers < 1:
            raise ValueError(
                "`num_layers` must be positive. "
                f"Received: num_layers={num_layers}"
            )
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.units = units
        self.cell = cell
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.output_dropout = output_dropout
        self.embedding_dropout = embedding_dropout
        self.residual = residual
        self.pyramid = pyramid
        self.summary = summary
        check_feature_sizes(feature_sizes, feature_dims)
        self.feature_sizes = tuple(feature_sizes)
        self.feature_dims = tuple(feature_dims)
        check_options(cell, cell_options or {})
        self.cell_options = dict(cell_options or {})
        self.embedding = token_embedding(
            vocabulary_size, embedding_dim, self.dtype_policy
        )
        self.feature_embeddings = [
            token_embedding(size, dim, self.dtype_policy)
            for size, dim in zip(feature_sizes, feature_dims, strict=True)
        ]
        self.forward_layers = self._make_layers(backward=False)
        self.backward_layers = (
            self._make_layers(backward=True) if bidirectional else []
        )
        self.embedding_dropout_layer = (
            keras.layers.Dropout(embedding_dropout, dtype=self.dtype_policy)
            if embedding_dropout
            else None
        )
        self.dropout_layer = (
            keras.layers.Dropout(output_dropout, dtype=self.dtype_policy)
            if output_dropout
            else None
        )
        self.supports_masking = True

    @property
    def memory_size(self) -> int:
        """Size M of one position of the memory."""
        return _size_of(self._levels()[-1])

    @property
    def summary_size(self) -> int:
        """Size N of the summary."""
        if self.summary == "mean":
            return self.memory_size
        last = self._levels()[-1]
        sizes = keras.tree.flatten(last[0].cell.state_size)
        return len(last) * sum(sizes[i] for i in last[0].cell.free_states)

    @property
    def stride(self) -> int:
        """How many source positions one position of the memory is of."""
        return 2 ** (self.num_layers - 1) if self.pyramid else 1

    @property
    def layers(self) -> deque[keras.Layer]:
        """The parts, for `summary(expand_nested=True)`."""
        return parts_of(self)

    def build(self, input_shape: Any = None) -> None:
        for embedding in (self.embedding, *self.feature_embeddings):
            embedding.build((None, None))
        size = self.embedding_dim + sum(self.feature_dims)
        for level, layers in enumerate(self._levels()):
            if level and self.pyramid:
                size *= 2
            for layer in layers:
                layer.build((None, None, size))
            size = _size_of(layers)

    def call(
        self,
        ids: Any,
        mask: Any = None,
        training: bool = False,
        features: Any = None,
    ) -> tuple[Any, Any]:
        memory = self.embed(ids, features)
        if self.embedding_dropout_layer is not None:
            memory = self.embedding_dropout_layer(memory, training=training)
        summary: list[Any] = []
        for level, layers in enumerate(self._levels()):
            if level and self.pyramid:
                memory = in_pairs(memory, mask)
                mask = None if mask is None else any_of_pairs(mask)
            sequences: list[Any] = []
            summary = []
            for layer in layers:
                outputs, *states = layer(memory, mask=mask, training=training)
                # The backward layer puts out the last step first.
                sequences.append(
                    tf.reverse(outputs, [1]) if layer.go_backwards else outputs
                )
                summary.extend(states[i] for i in layer.cell.free_states)
            outputs = tf.concat(sequences, axis=-1)
            if (
                level
                and self.residual
                and outputs.shape[-1] == memory.shape[-1]
            ):
                outputs = outputs + memory
            memory = outputs
        if self.summary == "mean":
            summary = [_mean(memory, mask)]
        if self.dropout_layer is not None:
            memory = self.dropout_layer(memory, training=training)
        return memory, tf.concat(summary, axis=-1)

    def embed(self, ids: Any, features: Any = None) -> Any:
        """Return the embeddings of tokens (B, S, …), features behind them."""
        if (features is None) == bool(self.feature_sizes):
            given = "none" if features is None else "features"
            raise ValueError(
                "`features` must be given exactly if there are "
                f"`feature_sizes`. Received: {given}, and "
                f"feature_sizes={list(self.feature_sizes)}"
            )
        parts = [self.embedding(ids)]
        for number, embedding in enumerate(self.feature_embeddings):
            parts.append(embedding(features[..., number]))
        return tf.concat(parts, axis=-1) if features is not None else parts[0]

    def memory_mask(self, mask: Any) -> Any:
        """Return which positions of the memory count, of a mask (B, S)."""
        for _ in range(self.num_layers - 1 if self.pyramid else 0):
            mask = any_of_pairs(mask)
        return mask

    def by_token(self, alignments: Any, mask: Any) -> Any:
        """Share alignments with the memory out among the source positions.

        Args:
            alignments: (B, …, S'), with the memory.
            mask: (B, S), boolean, True at the source positions that count.

        Returns:
            (B, …, S); those of one position of the memory have as much each.
        """
        if self.stride == 1:
            return alignments
        return shared_out(alignments, mask, self.stride)

    def compute_output_shape(
        self, input_shape: Any
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        steps = input_shape[1]
        if steps is not None:
            steps = -(-steps // self.stride)
        memory = (input_shape[0], steps, self.memory_size)
        return memory, (input_shape[0], self.summary_size)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return keras.Operation.compute_output_spec(self, *args, **kwargs)

    def compute_mask(self, ids: Any, mask: Any = None) -> tuple[Any, None]:
        return None if mask is None else self.memory_mask(mask), None

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "units": self.units,
            "cell": self.cell,
            "num_layers": self.num_layers,
            "bidirectional": self.bidirectional,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "output_dropout": self.output_dropout,
            "cell_options": dict(self.cell_options),
            "embedding_dropout": self.embedding_dropout,
            "residual": self.residual,
            "pyramid": self.pyramid,
            "summary": self.summary,
            "feature_sizes": self.feature_sizes,
            "feature_dims": self.feature_dims,
        }
        policies = inner_policies(self, self._keras_layers())
        return config | ({"policies": policies} if policies else {})

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Encoder":
        arguments = dict(config)
        policies = arguments.pop("policies", {})
        encoder = cls(**arguments)
        set_inner_policies(encoder._keras_layers(), policies)
        return encoder

    def _keras_layers(self) -> dict[str, keras.Layer]:
        features = {
            f"feature_embedding_{number}": embedding
            for number, embedding in enumerate(self.feature_embeddings)
        }
        return {"embedding": self.embedding} | features

    def _make_layers(self, backward: bool) -> list[RNN]:
        cell_arguments = {
            "units": self.units,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "dtype": self.dtype_policy,
        }
        layer_arguments = {
            "return_sequences": True,
            "return_state": True,
            "go_backwards": backward,
        }
        # These layers run on cuDNN if there is a GPU.
        layer = {"lstm": LSTM, "gru": GRU}.get(self.cell)
        one = backward and self.bidirectional == "first"
        return [
            layer(**arguments, **layer_arguments)
            if layer
            else RNN(get_cell(self.cell)(**arguments), **layer_arguments)
            for arguments in (
                cell_arguments
                | level_arguments(self.cell, level)
                | self.cell_options
                for level in range(1 if one else self.num_layers)
            )
        ]

    def _levels(self) -> list[tuple[RNN, ...]]:
        """The layers from the bottom up, those of one level side by side."""
        return [
            (forward, *self.backward_layers[level : level + 1])
            for level, forward in enumerate(self.forward_layers)
        ]


def _size_of(layers: Sequence[RNN]) -> int:
    """The size of what layers put out that are side by side."""
    return sum(layer.cell.output_size for layer in layers)


def _mean(memory: Any, mask: Any) -> Any:
    """Return the mean (B, M) of the positions that count."""
    if mask is None:
        return tf.reduce_mean(memory, axis=1)
    real = tf.cast(mask, memory.dtype)[..., tf.newaxis]
    total = tf.reduce_sum(memory * real, axis=1)
    return tf.math.divide_no_nan(total, tf.reduce_sum(real, axis=1))
