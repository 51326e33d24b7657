"""From a memory to the next token.

Longer than other files: a third of it is the specification of what a user
calls; the steps themselves are in `layers/attention_cell.py`.
"""

from collections import deque
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from keras_recurrent.layers import (
    Attention,
    AttentionCell,
    AttentionState,
    Memory,
)
from keras_recurrent.layers.attention import ATTENTIONS
from keras_recurrent.layers.attention_cell import Query
from keras_recurrent.layers.cells import get_cell
from keras_recurrent.layers.ops.by_sentence import by_sentence
from keras_recurrent.layers.ops.check_built import check_built
from keras_recurrent.layers.ops.product import product
from keras_recurrent.layers.parts import parts_of
from keras_recurrent.models.copying import copying_logits
from keras_recurrent.models.embedding import token_embedding
from keras_recurrent.models.inner_policies import (
    inner_policies,
    set_inner_policies,
)
from keras_recurrent.models.stacked_cells import (
    check_options,
    level_arguments,
)
from keras_recurrent.models.token_frequencies import (
    count_tokens,
    log_frequencies,
)


@keras.saving.register_keras_serializable(package="keras_recurrent")
class Decoder(keras.Layer):
    """Embedding, cells with attention, and the next-token network.

        y_t      = attention_cell(embedding(token_{t-1}), state, memory)
        logits_t = W·y_t + b

    where y_t = tanh(W_y·[context_t, state_t]) comes from `AttentionCell`, or
    with a deep output reads the token before as well (Bahdanau et al. 2015,
    appendix A.2.2; Nematus):

        y_t = tanh(W_y·[context_t, state_t] + W_x·embedding(token_{t-1}) + b_x)

    With `copying` (a pointer-generator, See et al. 2017) the next token is
    generated with the probability g_t, or else copied from where the attention
    looks; see `copying_logits`:

        g_t = σ(w_y·y_t + w_x·embedding(token_{t-1}) + b_g)

    (In the paper g_t reads context and state as they are, of which y_t is
    made.) It can copy tokens that are outside of the vocabulary, too: such as
    have ids from V on, which mean another token in each sentence, are read as
    the unknown token.

    The cells start from the encoder's summary, state_0 = tanh(W_0·summary +
    b_0), one such projection for each state.

    **Frequencies of tokens.** The first thing a model learns is how frequent
    tokens are. From b = 0 an optimizer such as Adam, which moves each weight
    by as much, gets there soonest through y: all units of y are pushed to ±1,
    the same for every token, and there the gradient of tanh is gone for good.
    From some hundred tokens on that happens within the first epoch. So b is
    to start as the logarithms of these frequencies, see `adapt`; `Seq2Seq.fit`
    does so by itself. (Compared on 5,000 sentence pairs with 5,978 tokens,
    the validation loss after 3 epochs: b = 0 6.02; a y without tanh, b = 0,
    which does learn, 4.68; b = log frequencies 4.68; both together 4.62.)

    Args:
        vocabulary_size: Number V of token ids; id 0 is padding.
        embedding_dim: Size E of the token embeddings.
        units: Units U of the cells, of the attention and of y.
        cell: Name of the cell, see `layers.cells.CELLS`.
        num_layers: Number of cells in the stack.
        attention: Name of the attention, see `layers.attention.ATTENTIONS`,
            or the attention itself. Of several sources each has one like it.
        query: Which state asks: "previous_state" (attention before the cells,
            Bahdanau et al. 2015), "new_state" (after them, Luong et al. 2015),
            "conditional" (between two cells that go on from the state of one
            another, Sennrich et al. 2017; one cell more than `num_layers`) or
            "bottom_state" (of the first cell; all of them read what is found:
            GNMT, Wu et al. 2016).
        input_feeding: Whether the cells read y_{t-1} as well.
        tie_embeddings: Whether W is the matrix of the embeddings, transposed
            (Press & Wolf 2017, arXiv:1608.05859).
        dropout: Share of each cell's inputs to drop in training.
        recurrent_dropout: Share of the recurrent state to drop in training.
        deep_output: Whether y reads the token before, too.
        output_size: Size N of y; by default U.
        output_dropout: Share of y to drop in training.
        cell_options: More arguments of the cells, by name.
        embedding_dropout: Share of the embeddings' numbers to drop in training,
            others at each position.
        residual: Whether each cell above the first adds what it reads of the
            one below to what it puts out.
        bridge: Where cells start from: "dense", see above, or "zeros".
        num_sources: Number of memories that are attended to; the alignments are
            those with the first one.
        copying: Whether tokens of the (first) source can be copied.
        unknown_copies: How many different tokens O of a source can be copied
            that are outside of the vocabulary; their ids are V to V + O − 1.
        unknown_id: What these are read as.

    Call arguments:
        ids: (B, T), the tokens before the ones to predict (teacher forcing).
        memory: (B, S, M), from the encoder; of several sources a list.
        summary: (B, N), from the encoder.
        memory_mask: (B, S), boolean, True at the positions that count; of
            several sources a list.
        copies: (B, S), the token of each source position, 0 where there is
            none; for logits with `copying`.
        project: Whether to return logits rather than what they are made of.
        training: Whether to apply dropout.

    Returns:
        The logits (B, T, V + O), float32; or, without `project`, y (B, T, N)
        and the alignments (B, T, S).

    Raises:
        ValueError: `num_layers` or `num_sources` is not positive; `cell`,
            `attention`, `query` or `bridge` is no such name, or the cell has
            no such options; embeddings are tied that are not of size N; a
            deep output is to be fed to the cells; tokens outside of the
            vocabulary are copied without `copying`; or what needs weights
            comes before `start` or a call.

    Example:

    >>> decoder = Decoder(vocabulary_size=20, embedding_dim=8, units=16)
    >>> ids = tf.constant([[2, 9, 4], [2, 5, 0]])
    >>> memory, summary = tf.ones((2, 7, 32)), tf.ones((2, 32))
    >>> decoder(ids, memory, summary).shape
    TensorShape([2, 3, 20])
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int,
        units: int,
        cell: str = "gru",
        num_layers: int = 1,
        attention: str | Attention = "bahdanau",
        query: Query = "previous_state",
        input_feeding: bool = False,
        tie_embeddings: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        deep_output: bool = False,
        output_size: int | None = None,
        output_dropout: float = 0.0,
        cell_options: dict[str, Any] | None = None,
        embedding_dropout: float = 0.0,
        residual: bool = False,
        bridge: Literal["dense", "zeros"] = "dense",
        num_sources: int = 1,
        copying: bool = False,
        unknown_copies: int = 0,
        unknown_id: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        output_size = output_size or units
        for name, count in (
            ("num_layers", num_layers),
            ("num_sources", num_sources),
        ):
            if count < 1:
                raise ValueError(
                    f"`{name}` must be positive. Received: {name}={count}"
                )
        if isinstance(attention, str) and attention not in ATTENTIONS:
            raise ValueError(
                f"`attention` must be one of {', '.join(ATTENTIONS)}, or an "
                f"`Attention`. Received: attention={attention!r}"
            )
        if tie_embeddings and embedding_dim != output_size:
            raise ValueError(
                "`tie_embeddings` needs embeddings of the size of the output, "
                "by default the units. Received: "
                f"embedding_dim={embedding_dim}, output_size={output_size}"
            )
        if deep_output and input_feeding:
            raise ValueError(
                "`deep_output` and `input_feeding` exclude each other: what is "
                "fed is y without the token"
            )
        if bridge not in ("dense", "zeros"):
            raise ValueError(
                "`bridge` must be 'dense' or 'zeros'. "
                f"Received: bridge={bridge!r}"
            )
        if unknown_copies < 0 or (unknown_copies and not copying):
            raise ValueError(
                "`unknown_copies` must not be negative, and needs `copying`. "
                f"Received: unknown_copies={unknown_copies}, copying={copying}"
            )
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.units = units
        self.cell = cell
        self.num_layers = num_layers
        self.attention = attention
        self.query = query
        self.input_feeding = input_feeding
        self.tie_embeddings = tie_embeddings
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.deep_output = deep_output
        self.output_size = output_size
        self.output_dropout = output_dropout
        self.embedding_dropout = embedding_dropout
        self.residual = residual
        self.bridge = bridge
        self.num_sources = num_sources
        self.copying = copying
        self.unknown_copies = unknown_copies
        self.unknown_id = unknown_id
        check_options(cell, cell_options or {})
        self.cell_options = dict(cell_options or {})
        dtype = self.dtype_policy
        conditional = query == "conditional"
        # Both conditional cells are the first level.
        levels = [0] * conditional + list(range(num_layers))
        self.embedding = token_embedding(
            vocabulary_size, embedding_dim, dtype, tied=tie_embeddings
        )
        self.attention_cell = AttentionCell(
            [
                get_cell(cell)(
                    units,
                    dropout=dropout,
                    recurrent_dropout=recurrent_dropout,
                    dtype=dtype,
                    **level_arguments(cell, level) | self.cell_options,
                )
                for level in levels
            ],
            self._attentions(),
            output_size,
            query=query,
            input_feeding=input_feeding,
            residual=residual,
            activation=None if deep_output else "tanh",
            dtype=dtype,
        )
        self.deep_layer = (
            keras.layers.Dense(output_size, dtype=dtype)
            if deep_output
            else None
        )
        # Together they make the score of generating, w_y·y + w_x·x + b_g.
        self.generating_layers = [
            keras.layers.Dense(1, use_bias=of_token, dtype=dtype)
            for of_token in (False, True)
            if copying
        ]
        self.embedding_dropout_layer = (
            keras.layers.Dropout(embedding_dropout, dtype=dtype)
            if embedding_dropout
            else None
        )
        self.dropout_layer = (
            keras.layers.Dropout(output_dropout, dtype=dtype)
            if output_dropout
            else None
        )
        # One for each state that may start from anything.
        self.bridges = [
            keras.layers.Dense(size, activation="tanh", dtype=dtype)
            for stacked in (self._starting_cells if bridge == "dense" else [])
            for i, size in enumerate(keras.tree.flatten(stacked.state_size))
            if i in stacked.free_states
        ]
        self.output_layer = (
            None
            if tie_embeddings
            else keras.layers.Dense(vocabulary_size, dtype=dtype)
        )

    @property
    def _starting_cells(self) -> list[Any]:
        """Those with a state that a step begins with.

        Of two conditional cells that is the second one's.
        """
        return self.attention_cell.cells[self.query == "conditional" :]

    def _attentions(self) -> list[Attention]:
        """One for each source, alike."""
        count, given = self.num_sources, self.attention
        if isinstance(given, str):
            make = ATTENTIONS[given]
            return [
                make(self.units, dtype=self.dtype_policy) for _ in range(count)
            ]
        config = given.get_config()
        del config["name"]
        others = [given.from_config(dict(config)) for _ in range(count - 1)]
        return [given, *others]

    @property
    def layers(self) -> deque[keras.Layer]:
        """The parts, for `summary(expand_nested=True)`."""
        return parts_of(self)

    def build(
        self, ids_shape: Any, memory_shape: Any, summary_shape: Any
    ) -> None:
        self.embedding.build((None, None))
        self.attention_cell.build((None, self.embedding_dim), memory_shape)
        for bridge in self.bridges:
            bridge.build(summary_shape)
        if self.deep_layer is not None:
            self.deep_layer.build((None, self.embedding_dim))
        for layer, size in zip(
            self.generating_layers,
            (self.output_size, self.embedding_dim),
            strict=False,
        ):
            layer.build((None, size))
        if self.output_layer is None:
            self.output_bias = self.add_weight(
                shape=(self.vocabulary_size,),
                name="output_bias",
                initializer="zeros",
            )
        else:
            self.output_layer.build((None, self.output_size))

    def call(
        self,
        ids: Any,
        memory: Any,
        summary: Any,
        memory_mask: Any = None,
        copies: Any = None,
        project: bool = True,
        training: bool = False,
    ) -> Any:
        prepared, state = self.start(memory, summary, memory_mask)
        inputs = self._embedded(ids)  # (B, T, E)
        if self.embedding_dropout_layer is not None:
            inputs = self.embedding_dropout_layer(inputs, training=training)
        outputs, alignments = self.attention_cell.run(
            inputs, state, prepared, training
        )
        if self.deep_layer is not None:
            outputs = tf.tanh(outputs + self.deep_layer(inputs))  # (B, T, N)
        if self.dropout_layer is not None:
            outputs = self.dropout_layer(outputs, training=training)
        alignments = self._with_first(alignments)
        if not project:
            return outputs, alignments
        if not self.copying:
            return self.logits(outputs)
        return self.copying_logits(outputs, ids, alignments, copies)

    @property
    def logits_size(self) -> int:
        """Number V + O of the tokens that can come next."""
        return self.vocabulary_size + self.unknown_copies

    def adapt(self, labels: Any) -> None:
        """Start from the frequencies of tokens: set b to their logarithms.

        To be called before training, like `adapt` of Keras's layers.

        Args:
            labels: Integers of any shape, also ragged, 0 where padded: those
                that the decoder is to learn, or enough of them to know how
                frequent the frequent ones are.

        Raises:
            ValueError: the labels are no integers, not in the vocabulary, or
                all padding; or there is no b yet, as nothing is built.
        """
        self.adapt_to_counts(count_tokens(labels, self.logits_size))

    def adapt_to_counts(self, counts: np.ndarray) -> None:
        """Do the same for counts (V + O,) of the tokens."""
        counts = counts[: self.vocabulary_size]
        if not counts.any():
            raise ValueError("There are no labels but padding to adapt to.")
        self._bias_variable.assign(log_frequencies(counts))

    @property
    def is_adapted(self) -> bool:
        """Whether b is no longer what it was when it was made."""
        return keras.ops.convert_to_numpy(self._bias_variable).any()

    def compute_output_shape(
        self, ids_shape: Any, memory_shape: Any, summary_shape: Any
    ) -> tuple[Any, ...]:
        return (*ids_shape, self.logits_size)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        # Without `project` the outputs are others.
        return keras.Operation.compute_output_spec(self, *args, **kwargs)

    def copying_logits(
        self, outputs: Any, ids: Any, alignments: Any, copies: Any
    ) -> Any:
        """Return the logits (B, T, V + O), float32, with what is copied.

        Args:
            outputs: (B, T, N), y.
            ids: (B, T), the tokens before.
            alignments: (B, T, S).
            copies: (B, S), the token of each source position.
        """
        of_output, of_token = self.generating_layers
        generating = of_output(outputs) + of_token(self._embedded(ids))
        return copying_logits(
            self.logits(outputs),
            generating[..., 0],
            alignments,
            copies,
            self.unknown_copies,
        )

    def logits(self, outputs: Any) -> Any:
        """Return the logits (…, V), float32, of y (…, N)."""
        layer = self.output_layer
        if layer is not None and not self.projects_by_product:
            self._check_built()
            return tf.cast(layer(outputs), tf.float32)
        kernel, bias = self._output_weights()
        logits = product(outputs, kernel, bias, transposed=self.tie_embeddings)
        return tf.cast(logits, tf.float32)

    @property
    def projects_by_product(self) -> bool:
        """Whether the logits are one product with `output_weights`.

        An output layer that is quantized, or has a policy of its own, does it
        in its own way.
        """
        layer = self.output_layer
        return layer is None or (
            layer.quantization_mode is None
            and layer.compute_dtype == self.compute_dtype
        )

    def output_weights(self) -> tuple[Any, Any]:
        """Return W (N, V) and b (V,), of the dtype that is computed in."""
        kernel, bias = self._output_weights()
        return tf.transpose(kernel) if self.tie_embeddings else kernel, bias

    def start(
        self, memory: Any, summary: Any, memory_mask: Any = None
    ) -> tuple[Memory | list[Memory], AttentionState]:
        """Return the prepared memory and the state before the first token.

        Args:
            memory, summary, memory_mask: As in a call.
        """
        if not self.built:
            shapes = tf.nest.map_structure(lambda one: one.shape, memory)
            self.build((None, None), shapes, summary.shape)
        bridged = (bridge(summary) for bridge in self.bridges)
        cells = []
        for stacked in self.attention_cell.cells:
            states = stacked.get_initial_state(tf.shape(summary)[0])
            if self.bridges and stacked in self._starting_cells:
                for i in stacked.free_states:
                    states[i] = tf.cast(next(bridged), states[i].dtype)
            cells.append(states)
        prepared = self.attention_cell.prepare_memory(memory, memory_mask)
        return prepared, self.attention_cell.get_initial_state(prepared, cells)

    def input_table(self) -> Any:
        """Return what is made of each token alone: by the cells (V, P).

        And by a deep output (V, N), and by the score of generating (V, 1), each
        None without one. Worth making where there are many more tokens to read
        than there are in the vocabulary.
        """
        self._check_built()
        return self._read(
            self._embeddings(), self.attention_cell.project_inputs
        )

    def step(
        self,
        ids: Any,
        state: AttentionState,
        memory: Memory | list[Memory],
        table: Any = None,
        copies: Any = None,
    ) -> tuple[Any, Any, AttentionState]:
        """Predict the token after `ids`.

        Args:
            ids: (R,), the token before, R = B·K rows, the K hypotheses of a
                sentence next to each other.
            state: The state of R rows.
            memory: The memory of B sentences, from `start`.
            table: From `input_table`, to look the tokens up in; by default
                their embeddings are projected at each step.
            copies: (B, S), the token of each source position; with `copying`.

        Returns:
            The logits (R, V) in float32, the alignments (R, S) and the new
            state. With `copying`, logits (R, V + O) and alignments (R, S + 1):
            behind the source positions is the probability 1 − g of copying.
        """
        self._check_built()
        if table is None:
            inputs, deep, of_token = self._read(self._embedded(ids))
        else:
            ids = self._known(ids)
            inputs, deep, of_token = (
                None if of_tokens is None else tf.gather(of_tokens, ids)
                for of_tokens in table
            )
        output, alignments, state = self.attention_cell(
            inputs, state, memory, projected=table is not None
        )
        alignments = self._with_first(alignments)
        if deep is not None:
            output = tf.tanh(output + deep)
        logits = self.logits(output)
        if not self.copying:
            return logits, alignments, state
        generating = self.generating_layers[0](output) + of_token  # (R, 1)
        rows, sentences = tf.shape(logits)[0], tf.shape(copies)[0]
        mixed = copying_logits(
            by_sentence(logits, sentences),
            by_sentence(generating, sentences)[..., 0],
            by_sentence(alignments, sentences),
            copies,
            self.unknown_copies,
        )
        copying = tf.sigmoid(-tf.cast(generating, alignments.dtype))
        return (
            tf.reshape(mixed, (rows, self.logits_size)),
            tf.concat([alignments, copying], axis=-1),
            state,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "units": self.units,
            "cell": self.cell,
            "num_layers": self.num_layers,
            "attention": keras.saving.serialize_keras_object(self.attention),
            "query": self.query,
            "input_feeding": self.input_feeding,
            "tie_embeddings": self.tie_embeddings,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "deep_output": self.deep_output,
            "output_size": self.output_size,
            "output_dropout": self.output_dropout,
            "cell_options": dict(self.cell_options),
            "embedding_dropout": self.embedding_dropout,
            "residual": self.residual,
            "bridge": self.bridge,
            "num_sources": self.num_sources,
            "copying": self.copying,
            "unknown_copies": self.unknown_copies,
            "unknown_id": self.unknown_id,
        }
        policies = inner_policies(self, self._keras_layers())
        return config | ({"policies": policies} if policies else {})

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Decoder":
        attention = keras.saving.deserialize_keras_object(config["attention"])
        arguments = config | {"attention": attention}
        policies = arguments.pop("policies", {})
        decoder = cls(**arguments)
        set_inner_policies(decoder._keras_layers(), policies)
        return decoder

    def _keras_layers(self) -> dict[str, keras.Layer]:
        layers = {"embedding": self.embedding}
        if self.output_layer is not None:
            layers["output_layer"] = self.output_layer
        if self.deep_layer is not None:
            layers["deep_layer"] = self.deep_layer
        for name, several in (
            ("bridge", self.bridges),
            ("generating_layer", self.generating_layers),
        ):
            for i, layer in enumerate(several):
                layers[f"{name}_{i}"] = layer
        return layers

    def _with_first(self, alignments: Any) -> Any:
        """Return the alignments with the first source."""
        return alignments[0] if self.num_sources > 1 else alignments

    def _known(self, ids: Any) -> Any:
        """Replace ids outside of the vocabulary by that of unknown tokens."""
        if not self.unknown_copies:
            return ids
        ids = tf.convert_to_tensor(ids)
        return tf.where(ids < self.vocabulary_size, ids, self.unknown_id)

    def _embedded(self, ids: Any) -> Any:
        """Return the embeddings (…, E) of tokens."""
        return self.embedding(self._known(ids))

    def _read(self, embeddings: Any, project: Any = None) -> tuple[Any, ...]:
        """Return what cells, deep output and g make of embeddings (…, E)."""
        return (
            embeddings if project is None else project(embeddings),
            None if self.deep_layer is None else self.deep_layer(embeddings),
            self.generating_layers[1](embeddings) if self.copying else None,
        )

    def _embeddings(self) -> Any:
        """Return the embeddings (V, E), of the dtype that is computed in."""
        embedding = self.embedding
        embeddings = (
            embedding.embeddings
            if embedding.quantization_mode is None
            # What the layer has then is no embeddings yet.
            else embedding(tf.range(self.vocabulary_size))
        )
        return tf.cast(embeddings, self.compute_dtype)

    def _check_built(self) -> None:
        check_built(
            self, "`start`, or `build(ids_shape, memory_shape, summary_shape)`,"
        )

    @property
    def _bias_variable(self) -> keras.Variable:
        self._check_built()
        if self.output_layer is None:
            return self.output_bias
        return self.output_layer.bias

    def _output_weights(self) -> tuple[Any, Any]:
        """Return W, transposed if it is that of the embeddings, and b."""
        self._check_built()
        if self.output_layer is None:
            kernel, bias = self._embeddings(), self.output_bias
        else:
            kernel, bias = self.output_layer.kernel, self.output_layer.bias
        dtype = self.compute_dtype
        return tf.cast(kernel, dtype), tf.cast(bias, dtype)
