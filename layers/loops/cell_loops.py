"""The two loops over time of a cell, forward and backward.

They learn what a cell does by tracing its step once: which products it makes
of what, through which activations its gates go, and what of all that the
backward loop needs.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_recurrent.layers.loops.with_values import floating, with_values
from keras_recurrent.layers.ops.known_shape import known_shape
from keras_recurrent.layers.ops.recurrence import hold, stack

# Derivatives of activations, as functions of the output: for these the output
# is kept instead of being computed again.
_DERIVATIVES: dict[Any, Callable[[Any], Any]] = {
    keras.activations.exponential: lambda y: y,
    keras.activations.relu: lambda y: tf.cast(y > 0, y.dtype),
    keras.activations.sigmoid: lambda y: y * (1 - y),
    keras.activations.tanh: lambda y: 1 - y * y,
}


class _Product(NamedTuple):
    """A product of the step with a recurrent matrix."""

    weight: int
    """Which of the weights the matrix is."""
    rows: slice
    columns: slice
    """Which part of it."""
    state: int | None
    """Which state is the factor, or None if it is no state."""
    drop: bool
    """Whether recurrent dropout applies to the factor."""
    factor_spec: tf.TensorSpec
    result_spec: tf.TensorSpec
    input: int | None = None
    """Which projected input has the same gradient as the result (they are
    added, and used in no other way), or None."""


class Saved(NamedTuple):
    """What the forward loop keeps for the backward loop, by number."""

    states: dict[int, Any]
    """(T + 1, B, …), from the initial to the final state."""
    factors: dict[int, Any]
    """(T, B, U), the factors of products that are no states."""
    results: dict[int, Any]
    """(T, B, N), the results of products."""
    gates: dict[int, Any]
    """(T, B, U)."""


class CellLoops:
    """The two loops over time of one cell.

    Weights are arguments of the loops, as `values`, rather than read by them:
    a gradient made by hand must name everything that it is a gradient of.
    """

    def __init__(self, cell: Any, structure: Any) -> None:
        self.cell = cell
        self.structure = structure
        self.weights = floating(cell.variables)
        # What the step does, filled in by `see`.
        self.products: list[_Product] = []
        self.gate_specs: dict[int, tf.TensorSpec] = {}
        self.output_state = 0
        self.output_is_extra = False
        self.kept_states: set[int] = set()
        self.kept_results: set[int] = set()
        self.direct: list[int] = []

    def see(self, inputs: Any, states: Any, values: Any) -> None:
        """See what the step does, by tracing it into graphs of its own.

        The first shows its products, its gates, and which new state is the
        output as well (if none is, the output is carried as one more state);
        the second, which values its gradient needs.
        """
        # With a known batch size TensorFlow adds without asking whether it
        # broadcasts, and hands the one gradient of a sum to both summands.
        inputs = [tf.TensorSpec((2, *a.shape[2:]), a.dtype) for a in inputs]
        states = [tf.TensorSpec((2, *a.shape[1:]), a.dtype) for a in states]
        values = [
            tf.TensorSpec(
                a.shape if i < len(self.weights) else (2, *a.shape[1:]), a.dtype
            )
            for i, a in enumerate(values)
        ]
        tf.function(self._see_forward, autograph=False).get_concrete_function(
            inputs, states, values
        )
        if self.output_is_extra:
            shape = (2, self.cell.output_size)
            states.append(tf.TensorSpec(shape, self.cell.compute_dtype))
        tf.function(self._see_backward, autograph=False).get_concrete_function(
            inputs,
            states,
            values,
            [_with_rows(product.result_spec, 2) for product in self.products],
            {i: _with_rows(spec, 2) for i, spec in self.gate_specs.items()},
        )

    def forward(
        self,
        inputs: Any,
        states: Any,
        values: Any,
        mask: Any,
        dropout_mask: Any,
    ) -> tuple[Any, Saved]:
        """Run forward; return the final states and what to keep.

        Args:
            inputs: Each (T, B, …).
            states: The initial states, each (B, …).
            values: Of the weights, and the constants.
            mask: (T, B), boolean, or None.
            dropout_mask: (B, U), for the recurrent products, or None.
        """
        time = tf.shape(inputs[0])[0]
        inputs = [_array_of(sequence) for sequence in inputs]
        mask = None if mask is None else _array_of(mask)
        kernels = self._kernels(values)

        def body(t: Any, states: Any, kept: Saved) -> tuple:
            factors: list[Any] = []
            results: list[Any] = []
            gates: list[Any] = []

            def dot(factor: Any, *_: Any, **__: Any) -> Any:
                product = self.products[len(results)]
                factors.append(factor)
                factor = _dropped(factor, product, dropout_mask)
                results.append(tf.matmul(factor, kernels[len(results)]))
                return results[-1]

            def gate(_: str, activation: Any, x: Any) -> Any:
                gates.append(activation(x))
                return gates[-1]

            _, new_states = self._step(
                [array.read(t) for array in inputs], states, values, dot, gate
            )
            if mask is not None:
                new_states = hold(mask.read(t), new_states, states)
            kept = Saved(
                _write(kept.states, t + 1, new_states),
                _write(kept.factors, t, factors),
                _write(kept.results, t, results),
                _write(kept.gates, t, gates),
            )
            return t + 1, new_states, kept

        state_arrays = {
            i: _array(time + 1, _with_rows(states[i], None))
            for i in self.kept_states
        }
        kept = Saved(
            _write(state_arrays, 0, states),
            {
                i: _array(time, product.factor_spec)
                for i, product in enumerate(self.products)
                if product.state is None
            },
            {
                i: _array(time, self.products[i].result_spec)
                for i in self.kept_results
            },
            {i: _array(time, spec) for i, spec in self.gate_specs.items()},
        )
        _, states, kept = tf.while_loop(
            lambda t, *_: t < time,
            body,
            (tf.constant(0), states, kept),
            maximum_iterations=time,
        )
        rows = tf.shape(states[0])[0]
        return states, tf.nest.map_structure(lambda a: _stack(a, rows), kept)

    def backward(
        self,
        inputs: Any,
        values: Any,
        saved: Saved,
        last: Any,
        d_sequences: list[Any],
        wanted: list[int],
        mask: Any,
        dropout_mask: Any,
    ) -> tuple[Any, Any, Any, Any]:
        """Run backward.

        Args:
            inputs, values, mask, dropout_mask: Of the forward loop.
            saved: From the forward loop.
            last: The gradients of the final states.
            d_sequences: The gradients (T, B, …) of what some states were
                after each time step.
            wanted: The numbers of these states.

        Returns:
            The gradients of the inputs; of the initial states; of the values
            that are used other than in products; and of the results of those
            products whose gradient is not that of an input.
        """
        time = tf.shape(inputs[0])[0]
        d_inputs = dict(
            enumerate(
                _array(time, _with_rows(sequence[0], None))
                for sequence in inputs
            )
        )
        d_results = {
            i: _array(time, product.result_spec)
            for i, product in enumerate(self.products)
            if product.input is None
        }
        inputs = [_array_of(sequence) for sequence in inputs]
        saved = tf.nest.map_structure(_array_of, saved)
        mask = None if mask is None else _array_of(mask)
        d_sequence_arrays = [
            (i, _array_of(d)) for i, d in zip(wanted, d_sequences, strict=True)
        ]
        kernels = [tf.transpose(kernel) for kernel in self._kernels(values)]
        smooth = [
            i
            for i, d in enumerate(last)
            if d is not None and d.dtype.is_floating
        ]

        def body(
            t: Any, d_states: Any, d_direct: Any, d_inputs: Any, d_results: Any
        ) -> tuple:
            d_new_states = list(last)
            for i, d in zip(smooth, d_states, strict=True):
                d_new_states[i] = d
            for i, array in d_sequence_arrays:
                d_new_states[i] = d_new_states[i] + array.read(t)
            # What was not kept has no bearing on the gradient, only a shape.
            rows = tf.shape(d_new_states[smooth[0]])[0]
            states = [
                saved.states[i].read(t)
                if i in saved.states
                else tf.zeros_like(d_new_states[i])
                for i in range(len(last))
            ]
            results = [
                saved.results[i].read(t)
                if i in saved.results
                else tf.zeros(
                    (rows, product.result_spec.shape[1]),
                    product.result_spec.dtype,
                )
                for i, product in enumerate(self.products)
            ]
            d_step_inputs, d_old_states, d_values, d_new_results = (
                self._step_gradient(
                    [array.read(t) for array in inputs],
                    states,
                    values,
                    kernels,
                    results,
                    {i: array.read(t) for i, array in saved.gates.items()},
                    None if mask is None else mask.read(t),
                    dropout_mask,
                    d_new_states,
                )
            )
            return (
                t - 1,
                [d_old_states[i] for i in smooth],
                [
                    total + tf.cast(d_values[i], tf.float32)
                    for total, i in zip(d_direct, self.direct, strict=True)
                ],
                _write(d_inputs, t, d_step_inputs),
                _write(d_results, t, d_new_results),
            )

        _, d_states, d_direct, d_inputs, d_results = tf.while_loop(
            lambda t, *_: t >= 0,
            body,
            (
                time - 1,
                [last[i] for i in smooth],
                [tf.zeros_like(values[i], tf.float32) for i in self.direct],
                d_inputs,
                d_results,
            ),
            maximum_iterations=time,
        )
        d_values = [None] * len(values)
        for i, d in zip(self.direct, d_direct, strict=True):
            d_values[i] = tf.cast(d, values[i].dtype)
        d_initial = [None] * len(last)
        for i, d in zip(smooth, d_states, strict=True):
            d_initial[i] = d
        rows = tf.shape(last[smooth[0]])[0]
        return (
            [_stack(d_inputs[i], rows) for i in range(len(inputs))],
            d_initial,
            d_values,
            {i: _stack(array, rows) for i, array in d_results.items()},
        )

    def weight_gradients(
        self, saved: Saved, d_inputs: Any, d_results: Any, dropout_mask: Any
    ) -> list[Any]:
        """Return what products give to the gradients of the weights, or None.

        Args:
            saved: From the forward loop.
            d_inputs, d_results: From the backward loop.
            dropout_mask: Of both.
        """
        d_values: list[Any] = [None] * len(self.weights)
        for i, product in enumerate(self.products):
            if product.state is None:
                factor = saved.factors[i]
            else:
                factor = saved.states[product.state][:-1]
            factor = _dropped(factor, product, dropout_mask)
            if product.input is None:
                d_result = d_results[i]
            else:
                d_result = d_inputs[product.input]
            d_kernel = tf.matmul(
                tf.reshape(factor, (-1, factor.shape[-1])),
                tf.reshape(d_result, (-1, d_result.shape[-1])),
                transpose_a=True,
            )
            shape = self.weights[product.weight].shape
            ends = [
                cut.indices(size)[:2]
                for cut, size in zip(
                    (product.rows, product.columns), shape, strict=True
                )
            ]
            if ends != [(0, size) for size in shape]:
                d_kernel = tf.pad(
                    d_kernel,
                    [
                        (start, size - stop)
                        for (start, stop), size in zip(ends, shape, strict=True)
                    ],
                )
            d_values[product.weight] = total(
                [d_values[product.weight], d_kernel]
            )
        return d_values

    def _see_forward(self, inputs: Any, states: Any, values: Any) -> None:
        gates: list[Any] = []

        def dot(
            factor: Any,
            kernel: Any,
            columns: slice = slice(None),
            drop: bool = True,
            rows: slice = slice(None),
        ) -> Any:
            weight = _position(kernel, self.weights)
            if weight is None:
                raise ValueError(
                    "`dot` multiplies with weights of the cell, "
                    f"{[w.path for w in self.weights]}. "
                    f"Received: kernel={kernel}"
                )
            result = tf.matmul(factor, values[weight][rows, columns])
            self.products.append(
                _Product(
                    weight,
                    rows,
                    columns,
                    _position(factor, states),
                    drop,
                    _with_rows(factor, None),
                    _with_rows(result, None),
                )
            )
            return result

        def gate(_: str, activation: Any, x: Any) -> Any:
            gates.append(activation(x))
            if activation in _DERIVATIVES:
                spec = _with_rows(gates[-1], None)
                self.gate_specs[len(gates) - 1] = spec
            return gates[-1]

        output, new_states = self._step(inputs, states, values, dot, gate)
        position = _position(output, new_states)
        self.output_is_extra = position is None
        self.output_state = len(states) if position is None else position

    def _see_backward(
        self, inputs: Any, states: Any, values: Any, results: Any, gates: Any
    ) -> None:
        d_inputs, d_states, d_values, d_results = self._step_gradient(
            inputs,
            states,
            values,
            [tf.transpose(kernel) for kernel in self._kernels(values)],
            results,
            gates,
            None,
            None,
            [tf.ones_like(state) for state in states],
        )
        self.products = [
            product._replace(input=_position(d_result, d_inputs))
            for product, d_result in zip(self.products, d_results, strict=True)
        ]
        self.direct = [i for i, d in enumerate(d_values) if d is not None]
        needed = _sources_of([d_inputs, d_states, d_values, d_results])
        self.kept_results = {
            i for i, result in enumerate(results) if result.ref() in needed
        }
        self.kept_states = {
            self.output_state,
            *(i for i, state in enumerate(states) if state.ref() in needed),
            *(
                product.state
                for product in self.products
                if product.state is not None
            ),
        }

    def _step_gradient(
        self,
        inputs: Any,
        states: Any,
        values: Any,
        kernels: Any,
        results: Any,
        gates: Any,
        live: Any,
        dropout_mask: Any,
        d_new_states: Any,
    ) -> tuple[Any, Any, Any, Any]:
        """Return the gradients of one step.

        Args:
            inputs, states, values: Of the step.
            kernels: The transposed matrices of the products.
            results: What the products gave.
            gates: What the gates gave, those that were kept.
            live: (B,), the mask, or None.
            dropout_mask: (B, U), for the recurrent products, or None.
            d_new_states: The gradients of the new states.

        Returns:
            The gradients of the inputs, of the states, of the values (None
            where a value is used in products only) and of the results.
        """
        numbers = itertools.count()
        gate_numbers = itertools.count()

        def dot(factor: Any, *_: Any, **__: Any) -> Any:
            i = next(numbers)
            dropped = self.products[i].drop and dropout_mask is not None
            return _known(
                _PRODUCT,
                results[i],
                factor,
                kernels[i],
                *([dropout_mask] if dropped else []),
            )

        def gate(_: str, activation: Any, x: Any) -> Any:
            i = next(gate_numbers)
            if i not in gates:
                return activation(x)
            derivative = _DERIVATIVES[activation](gates[i])
            return _known(_GATE, gates[i], x, derivative)

        smooth = [i for i, s in enumerate(states) if s.dtype.is_floating]
        smooth_values = [
            i for i, value in enumerate(values) if value.dtype.is_floating
        ]
        sources = [
            inputs,
            [states[i] for i in smooth],
            [values[i] for i in smooth_values],
            list(results),
        ]
        _, new_states = self._step(inputs, states, values, dot, gate)
        if live is not None:
            new_states = hold(live, new_states, states)
        # Not a tape: what it makes of gradients by hand is never freed.
        d_inputs, d_smooth, d_smooth_values, d_results = (
            tf.nest.pack_sequence_as(
                sources,
                tf.gradients(
                    [new_states[i] for i in smooth],
                    tf.nest.flatten(sources),
                    [d_new_states[i] for i in smooth],
                ),
            )
        )
        d_states = [None] * len(states)
        for i, d in zip(smooth, d_smooth, strict=True):
            d_states[i] = tf.zeros_like(states[i]) if d is None else d
        d_values = [None] * len(values)
        for i, d in zip(smooth_values, d_smooth_values, strict=True):
            d_values[i] = d
        return (
            _or_zeros(d_inputs, inputs),
            d_states,
            d_values,
            _or_zeros(d_results, results),
        )

    def _step(
        self, inputs: Any, states: Any, values: Any, dot: Any, gate: Any
    ) -> tuple[Any, list[Any]]:
        """The step of the cell, with `values` for its weights."""
        # Behind the values of the weights come the constants.
        constants = values[len(self.weights) :]
        inputs = tf.nest.pack_sequence_as(self.structure, inputs)
        own_states = states[:-1] if self.output_is_extra else states
        with with_values(self.weights, values):
            output, new_states = self.cell.step(
                inputs, own_states, dot, gate, *constants
            )
        extra = [output] if self.output_is_extra else []
        return output, [*new_states, *extra]

    def _kernels(self, values: list[Any]) -> list[Any]:
        """The matrices of the products, cut out before the loop starts."""
        return [
            values[product.weight][product.rows, product.columns]
            for product in self.products
        ]


# Gradients by hand, registered once by these names. (`tf.custom_gradient` would
# register one for each product of each trace, with its graph, for good.)
_PRODUCT, _GATE = "KerasRecurrentProduct", "KerasRecurrentGate"


def _known(gradient: str, result: Any, *inputs: Any) -> Any:
    """Return `result`, as if it were computed from `inputs`."""
    names = {"IdentityN": gradient}
    with tf.compat.v1.get_default_graph().gradient_override_map(names):
        return tf.identity_n([result, *inputs])[0]


@tf.RegisterGradient(_PRODUCT)
def _product_gradient(op: Any, d_result: Any, *_: Any) -> list[Any]:
    _, _, kernel, *dropout_mask = op.inputs  # the kernel is transposed
    d_factor = tf.matmul(d_result, kernel)
    for mask in dropout_mask:
        d_factor = d_factor * mask
    return [d_result, d_factor, None, *(None for _ in dropout_mask)]


@tf.RegisterGradient(_GATE)
def _gate_gradient(op: Any, d_y: Any, *_: Any) -> list[Any]:
    return [None, d_y * op.inputs[2], None]


def _position(tensor: Any, tensors: Sequence[Any]) -> int | None:
    return next((i for i, t in enumerate(tensors) if t is tensor), None)


def _or_zeros(gradients: list[Any], tensors: list[Any]) -> list[Any]:
    return [
        tf.zeros_like(tensor) if gradient is None else gradient
        for gradient, tensor in zip(gradients, tensors, strict=True)
    ]


def _sources_of(targets: Any) -> set[Any]:
    """Return references to all tensors that the targets are computed from."""
    seen: set[Any] = set()
    waiting = [t for t in tf.nest.flatten(targets) if t is not None]
    while waiting:
        tensor = waiting.pop()
        if tensor.ref() in seen:
            continue
        seen.add(tensor.ref())
        # A custom gradient ties its tensors together by an IdentityN.
        if tensor.op.type == "IdentityN":
            waiting.append(tensor.op.inputs[tensor.value_index])
        else:
            waiting.extend(tensor.op.inputs)
    return seen


def _with_rows(tensor: Any, rows: int | None) -> tf.TensorSpec:
    """The specification of (B, …), with `rows` for B."""
    return tf.TensorSpec((rows, *tensor.shape[1:]), tensor.dtype)


def _array(size: Any, spec: tf.TensorSpec) -> Any:
    return tf.TensorArray(spec.dtype, size, element_shape=spec.shape)


def _array_of(sequence: Any) -> Any:
    shape = sequence.shape[1:]
    size = tf.shape(sequence)[0]
    array = tf.TensorArray(sequence.dtype, size, element_shape=shape)
    return array.unstack(sequence)


def _stack(array: Any, rows: Any) -> Any:
    # A state can be as long as the memory, which may be unknown.
    features = [-1 if n is None else n for n in array.element_shape[1:]]
    sequence = stack(array, tf.concat([[rows], features], axis=0))
    return known_shape(sequence, (None, *array.element_shape))


def _write(
    arrays: dict[int, Any], t: Any, values: Sequence[Any]
) -> dict[int, Any]:
    return {i: array.write(t, values[i]) for i, array in arrays.items()}


def total(gradients: Sequence[Any]) -> Any:
    """Add up those gradients that there are; None if there is none."""
    there = [gradient for gradient in gradients if gradient is not None]
    return tf.add_n(there) if there else None


def _dropped(factor: Any, product: _Product, dropout_mask: Any) -> Any:
    if not product.drop or dropout_mask is None:
        return factor
    return factor * dropout_mask
