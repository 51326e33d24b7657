"""From token ids to a memory."""

from collections import deque
from typing import Any

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
from keras_recurrent.models.stacked_cells import (
    check_options,
    level_arguments,
)


@keras.saving.register_keras_serializable(package="keras_recurrent")
class Encoder(keras.Layer):
    """Embedding and recurrent layers that turn a sentence into a memory.

    Args:
        vocabulary_size: Number V of token ids; id 0 is padding.
        embedding_dim: Size E of the token embeddings.
        units: Units U of each layer and direction.
        cell: Name of the cell: "gru", "lstm" or "simple_rnn".
        num_layers: Number of layers.
        bidirectional: Whether each layer reads in both directions.
        dropout: Share of each layer's inputs to drop in training.
        recurrent_dropout: Share of the recurrent state to drop in training.
        output_dropout: Share of the memory to drop in training.
        cell_options: More arguments of the cells, by name.

    Call arguments:
        ids: (B, S), integers.
        mask: (B, S), boolean, True at the tokens that count.
        training: Whether to apply dropout.

    Returns:
        The memory (B, S, M), M = U or 2U if bidirectional, and a summary
        (B, N): the final states of the last layer, side by side (of cells of
        several kinds of states, those that another one may start from).

    Raises:
        ValueError: `num_layers` is not positive, `cell` is no such name, or
            has no such options.

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
        bidirectional: bool = True,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        output_dropout: float = 0.0,
        cell_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
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
        check_options(cell, cell_options or {})
        self.cell_options = dict(cell_options or {})
        self.embedding = token_embedding(
            vocabulary_size, embedding_dim, self.dtype_policy
        )
        self.forward_layers = self._make_layers(backward=False)
        self.backward_layers = (
            self._make_layers(backward=True) if bidirectional else []
        )
        self.dropout_layer = (
            keras.layers.Dropout(output_dropout, dtype=self.dtype_policy)
            if output_dropout
            else None
        )
        self.supports_masking = True

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def memory_size(self) -> int:
        """Size M of one position of the memory."""
        return self.directions * self.forward_layers[-1].cell.output_size

    @property
    def summary_size(self) -> int:
        """Size N of the summary."""
        cell = self.forward_layers[-1].cell
        sizes = keras.tree.flatten(cell.state_size)
        return self.directions * sum(sizes[i] for i in cell.free_states)

    @property
    def layers(self) -> deque[keras.Layer]:
        """The parts, for `summary(expand_nested=True)`."""
        return parts_of(self)

    def build(self, input_shape: Any = None) -> None:
        self.embedding.build((None, None))
        size = self.embedding_dim
        for layers in self._levels():
            for layer in layers:
                layer.build((None, None, size))
            size = self.memory_size

    def call(
        self, ids: Any, mask: Any = None, training: bool = False
    ) -> tuple[Any, Any]:
        memory = self.embedding(ids)
        for layers in self._levels():
            sequences: list[Any] = []
            summary: list[Any] = []
            for layer in layers:
                outputs, *states = layer(memory, mask=mask, training=training)
                # The backward layer puts out the last step first.
                sequences.append(
                    tf.reverse(outputs, [1]) if layer.go_backwards else outputs
                )
                summary.extend(states[i] for i in layer.cell.free_states)
            memory = tf.concat(sequences, axis=-1)
        if self.dropout_layer is not None:
            memory = self.dropout_layer(memory, training=training)
        return memory, tf.concat(summary, axis=-1)

    def compute_output_shape(
        self, input_shape: Any
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        memory = (*input_shape, self.memory_size)
        return memory, (input_shape[0], self.summary_size)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return keras.Operation.compute_output_spec(self, *args, **kwargs)

    def compute_mask(self, ids: Any, mask: Any = None) -> tuple[Any, None]:
        return mask, None

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
        return {"embedding": self.embedding}

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
        return [
            layer(**arguments, **layer_arguments)
            if layer
            else RNN(get_cell(self.cell)(**arguments), **layer_arguments)
            for arguments in (
                cell_arguments
                | level_arguments(self.cell, level)
                | self.cell_options
                for level in range(self.num_layers)
            )
        ]

    def _levels(self) -> list[tuple[RNN, ...]]:
        """The layers from the bottom up, those of one level side by side."""
        if not self.bidirectional:
            return [(layer,) for layer in self.forward_layers]
        return list(zip(self.forward_layers, self.backward_layers, strict=True))
