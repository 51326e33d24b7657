"""The loop over time with a gradient made for it.

Differentiating a loop step by step repeats in every step what could be done
once. The gradient made here keeps in its loop only what must be there, the
products that carry the gradient from one state to the state before:

- the products with recurrent matrices are kept from the forward loop, so that
  the backward loop repeats only the element-wise arithmetic of the step;
- the gradient of a recurrent matrix is one product after the loop, over all
  time steps at once, rather than a sum of one product for each step.

It holds for every cell that multiplies with recurrent matrices through `dot`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.recurrent_cell import RecurrentCell
from keras_recurrent.layers.recurrence import hold


def trained_loop(
    cell: RecurrentCell,
    projected: Any,
    states: Sequence[Any],
    mask: Any = None,
    dropout_mask: Any = None,
    *,
    return_sequences: bool = True,
    jit_compile: bool = False,
) -> tuple[Any, list[Any]]:
    """Run a cell over time, with a gradient made for the loop.

    Args:
        cell: The cell, built.
        projected: (T, B, …), time-major, from `cell.project`, one tensor or a
            nested structure of them.
        states: The initial states, each (B, …).
        mask: (T, B), boolean, or None. At masked time steps states stay.
        dropout_mask: (B, U), for the recurrent products, or None.
        return_sequences: Whether the outputs are needed.
        jit_compile: Whether XLA compiles the two loops.

    Returns:
        The outputs (T, B, U), or the last one (B, U) without
        `return_sequences`; and the final states. At masked time steps the
        output of the step before is repeated. Before the first time step
        that is not masked the output is arbitrary.

    Raises:
        NotImplementedError: The gradient of the gradient was asked for.
    """
    loop = _Loop(cell, projected, mask, dropout_mask)
    arguments = [
        tf.nest.flatten(projected),
        list(states),
        [tf.convert_to_tensor(weight) for weight in loop.weights],
    ]
    loop.see(*arguments)
    if loop.output_is_extra:
        batch_size = tf.shape(states[0])[0]
        arguments[1].append(
            tf.zeros((batch_size, cell.output_size), cell.compute_dtype)
        )
    forward: Any = loop.forward
    backward: Any = loop.backward
    if jit_compile:
        forward = tf.function(forward, jit_compile=True, autograph=False)
        backward = tf.function(backward, jit_compile=True, autograph=False)

    @tf.custom_gradient
    def run(*flat: Any) -> tuple[list[Any], Callable[..., list[Any]]]:
        inputs, states, values = tf.nest.pack_sequence_as(arguments, flat)
        saved = forward(inputs, states, values)
        results = [sequence[-1] for sequence in saved.states]
        if return_sequences:
            results.append(saved.states[loop.output_state][1:])

        def gradient(*upstream: Any) -> list[Any]:
            d_inputs, d_states, d_values, d_products = backward(
                inputs,
                values,
                saved,
                list(upstream[: len(states)]),
                upstream[-1] if return_sequences else None,
            )
            d_values = loop.add_products(saved, d_values, d_products)
            return _once([*d_inputs, *d_states, *d_values])

        return results, gradient

    results = run(*tf.nest.flatten(arguments))
    output = results[-1] if return_sequences else results[loop.output_state]
    return output, list(results[: len(states)])


class _Product(NamedTuple):
    """A product of the step with a recurrent matrix."""

    weight: int
    """Which of the weights the matrix is."""
    columns: slice
    """Which columns of it."""
    state: int | None
    """Which state is the factor, or None if it is no state."""
    drop: bool
    """Whether recurrent dropout applies to the factor."""
    factor_spec: tf.TensorSpec
    result_spec: tf.TensorSpec


class _Saved(NamedTuple):
    """What the forward loop keeps for the backward loop."""

    states: list[Any]
    """(T + 1, B, …), from the initial to the final states."""
    factors: list[Any]
    """(T, B, U), the factors of products that are no states."""
    results: list[Any]
    """(T, B, N), the results of the products."""


class _Loop:
    """The two loops over time of one cell.

    Weights are arguments of the loops, as `values`, rather than read by them:
    a gradient made by hand must name everything that it is a gradient of.
    """

    def __init__(
        self, cell: RecurrentCell, structure: Any, mask: Any, dropout_mask: Any
    ) -> None:
        self.cell = cell
        self.structure = structure
        self.mask = mask
        self.dropout_mask = dropout_mask
        self.weights = [
            weight
            for weight in cell.variables
            if tf.as_dtype(weight.dtype).is_floating
        ]
        # What the step does, see `see`.
        self.products: list[_Product] = []
        self.direct: list[int] = []
        self.output_state = 0
        self.output_is_extra = False

    def see(self, inputs: Any, states: Any, values: Any) -> None:
        """See what the step does, by tracing it into a graph of its own.

        Sets `products`, `direct` (the weights used other than in products)
        and `output_state` (the new state that is the output as well; if none
        of them is, the output is carried as one more state).
        """

        def trace(inputs: Any, states: Any, values: Any) -> None:
            def dot(
                factor: Any,
                kernel: Any,
                columns: slice = slice(None),
                drop: bool = True,
            ) -> Any:
                weight = _position(kernel, self.weights)
                if weight is None:
                    raise ValueError(
                        "`dot` multiplies with weights of the cell, "
                        f"{[w.path for w in self.weights]}. "
                        f"Received: kernel={kernel}"
                    )
                value = tf.stop_gradient(values[weight])
                result = tf.matmul(factor, value[:, columns])
                self.products.append(
                    _Product(
                        weight,
                        columns,
                        _position(factor, states),
                        drop,
                        _spec(factor),
                        _spec(result),
                    )
                )
                return result

            with tf.GradientTape() as tape:
                tape.watch(values)
                output, new_states = self._step(inputs, states, values, dot)
            targets = [
                tensor
                for tensor in (output, *new_states)
                if tensor.dtype.is_floating
            ]
            gradients = tape.gradient(targets, values)
            self.direct = [i for i, g in enumerate(gradients) if g is not None]
            position = _position(output, new_states)
            self.output_is_extra = position is None
            self.output_state = len(states) if position is None else position

        tf.function(trace, autograph=False).get_concrete_function(
            [tf.TensorSpec(a.shape[1:], a.dtype) for a in inputs],
            [_spec(state) for state in states],
            [_spec(value) for value in values],
        )

    def forward(self, inputs: Any, states: Any, values: Any) -> _Saved:
        """Run forward and return what the backward loop needs."""
        time = tf.shape(inputs[0])[0]
        inputs = [_array_of(sequence) for sequence in inputs]
        mask = None if self.mask is None else _array_of(self.mask)
        kernels = self._kernels(values)

        def body(t: Any, states: Any, kept: _Saved) -> tuple:
            factors, results = [], []

            def dot(factor: Any, *_: Any, **__: Any) -> Any:
                product = self.products[len(results)]
                if product.state is None:
                    factors.append(factor)
                factor = self._dropped(factor, product)
                results.append(tf.matmul(factor, kernels[len(results)]))
                return results[-1]

            _, new_states = self._step(
                [array.read(t) for array in inputs], states, values, dot
            )
            if mask is not None:
                new_states = hold(mask.read(t), new_states, states)
            kept = _Saved(
                _write(kept.states, t + 1, new_states),
                _write(kept.factors, t, factors),
                _write(kept.results, t, results),
            )
            return t + 1, new_states, kept

        state_arrays = [_array(time + 1, _spec(state)) for state in states]
        kept = _Saved(
            _write(state_arrays, 0, states),
            [
                _array(time, product.factor_spec)
                for product in self.products
                if product.state is None
            ],
            [_array(time, product.result_spec) for product in self.products],
        )
        _, _, kept = tf.while_loop(
            lambda t, *_: t < time,
            body,
            (tf.constant(0), states, kept),
            maximum_iterations=time,
        )
        return tf.nest.map_structure(lambda array: array.stack(), kept)

    def backward(
        self,
        inputs: Any,
        values: Any,
        saved: _Saved,
        d_states: Any,
        d_outputs: Any,
    ) -> tuple[Any, Any, Any, Any]:
        """Return the gradients of inputs, states, weights and products.

        Those of the weights lack what comes through products.
        """
        time = tf.shape(inputs[0])[0]
        d_input_arrays = [
            _array(time, tf.TensorSpec(sequence.shape[1:], sequence.dtype))
            for sequence in inputs
        ]
        d_product_arrays = [
            _array(time, product.result_spec) for product in self.products
        ]
        inputs = [_array_of(sequence) for sequence in inputs]
        saved = tf.nest.map_structure(_array_of, saved)
        mask = None if self.mask is None else _array_of(self.mask)
        d_outputs = None if d_outputs is None else _array_of(d_outputs)
        kernels = [tf.transpose(kernel) for kernel in self._kernels(values)]
        # Counters and the like have no gradient.
        smooth = [
            i for i, array in enumerate(saved.states) if array.dtype.is_floating
        ]

        def body(
            t: Any, d_states: Any, d_values: Any, d_inputs: Any, d_results: Any
        ) -> tuple:
            step_inputs = [array.read(t) for array in inputs]
            states = [array.read(t) for array in saved.states]
            results = [array.read(t) for array in saved.results]
            upstream: list[Any] = [None] * len(results)
            done = []

            def dot(factor: Any, *_: Any, **__: Any) -> Any:
                index = len(done)
                done.append(index)
                return self._replay(
                    factor,
                    results[index],
                    kernels[index],
                    self.products[index],
                    lambda d_result: upstream.__setitem__(index, d_result),
                )

            direct = [values[i] for i in self.direct]
            sources = [step_inputs, [states[i] for i in smooth], direct]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(sources)
                _, new_states = self._step(step_inputs, states, values, dot)
                if mask is not None:
                    new_states = hold(mask.read(t), new_states, states)
            if d_outputs is not None:
                at = smooth.index(self.output_state)
                d_states[at] = d_states[at] + d_outputs.read(t)
            d_step_inputs, d_states, d_direct = tape.gradient(
                [new_states[i] for i in smooth],
                sources,
                output_gradients=d_states,
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            d_values = [
                total + tf.cast(d, tf.float32)
                for total, d in zip(d_values, d_direct, strict=True)
            ]
            upstream = [
                tf.zeros_like(result) if d is None else d
                for d, result in zip(upstream, results, strict=True)
            ]
            return (
                t - 1,
                d_states,
                d_values,
                _write(d_inputs, t, d_step_inputs),
                _write(d_results, t, upstream),
            )

        _, d_smooth, d_direct, d_input_arrays, d_product_arrays = tf.while_loop(
            lambda t, *_: t >= 0,
            body,
            (
                time - 1,
                [d_states[i] for i in smooth],
                [tf.zeros(values[i].shape) for i in self.direct],
                d_input_arrays,
                d_product_arrays,
            ),
            maximum_iterations=time,
        )
        d_states = [None] * len(d_states)
        for i, d in zip(smooth, d_smooth, strict=True):
            d_states[i] = d
        d_values = [None] * len(values)
        for i, d in zip(self.direct, d_direct, strict=True):
            d_values[i] = tf.cast(d, values[i].dtype)
        return (
            [array.stack() for array in d_input_arrays],
            d_states,
            d_values,
            [array.stack() for array in d_product_arrays],
        )

    def add_products(
        self, saved: _Saved, d_values: Any, d_results: Any
    ) -> list[Any]:
        """Add what products give to the gradients of the weights."""
        d_values, factors = list(d_values), iter(saved.factors)
        for product, d_result in zip(self.products, d_results, strict=True):
            if product.state is None:
                factor = next(factors)
            else:
                factor = saved.states[product.state][:-1]
            factor = self._dropped(factor, product)
            d_kernel = tf.matmul(
                tf.reshape(factor, (-1, factor.shape[-1])),
                tf.reshape(d_result, (-1, d_result.shape[-1])),
                transpose_a=True,
            )
            width = self.weights[product.weight].shape[1]
            start, stop, _ = product.columns.indices(width)
            if stop - start < width:
                d_kernel = tf.pad(d_kernel, ((0, 0), (start, width - stop)))
            if d_values[product.weight] is not None:
                d_kernel = d_kernel + d_values[product.weight]
            d_values[product.weight] = d_kernel
        return d_values

    def _step(
        self, inputs: Any, states: Any, values: Any, dot: Any
    ) -> tuple[Any, list[Any]]:
        """The step of the cell, with `values` for its weights."""
        pairs = list(zip(self.weights, values, strict=True))
        inputs = tf.nest.pack_sequence_as(self.structure, inputs)
        own_states = states[:-1] if self.output_is_extra else states
        with keras.StatelessScope(state_mapping=pairs):
            output, new_states = self.cell.step(inputs, own_states, dot)
        extra = [output] if self.output_is_extra else []
        return output, [*new_states, *extra]

    def _kernels(self, values: list[Any]) -> list[Any]:
        """The matrices of the products, cut out before the loop starts."""
        return [
            values[product.weight][:, product.columns]
            for product in self.products
        ]

    def _dropped(self, factor: Any, product: _Product) -> Any:
        if not product.drop or self.dropout_mask is None:
            return factor
        return factor * self.dropout_mask

    def _replay(
        self,
        factor: Any,
        result: Any,
        transposed: Any,
        product: _Product,
        report: Callable[[Any], None],
    ) -> Any:
        """Put a result of the forward loop in the place of its product."""

        @tf.custom_gradient
        def known(factor: Any) -> tuple[Any, Callable[[Any], Any]]:
            def gradient(d_result: Any) -> Any:
                report(d_result)
                return self._dropped(tf.matmul(d_result, transposed), product)

            return tf.identity(result), gradient

        return known(factor)


def _position(tensor: Any, tensors: Sequence[Any]) -> int | None:
    return next((i for i, t in enumerate(tensors) if t is tensor), None)


def _spec(tensor: Any) -> tf.TensorSpec:
    return tf.TensorSpec(tensor.shape, tensor.dtype)


def _array(size: Any, spec: tf.TensorSpec) -> Any:
    return tf.TensorArray(spec.dtype, size, element_shape=spec.shape)


def _array_of(sequence: Any) -> Any:
    spec = tf.TensorSpec(sequence.shape[1:], sequence.dtype)
    return _array(tf.shape(sequence)[0], spec).unstack(sequence)


def _write(arrays: list[Any], t: Any, values: list[Any]) -> list[Any]:
    return [a.write(t, v) for a, v in zip(arrays, values, strict=True)]


def _once(gradients: list[Any]) -> list[Any]:
    """Refuse to be differentiated, rather than be silently wrong.

    What the forward loop keeps counts as constant in the backward loop.
    """

    @tf.custom_gradient
    def guard(*tensors: Any) -> tuple[list[Any], Callable[..., Any]]:
        def refuse(*_: Any) -> Any:
            raise NotImplementedError(
                "Recurrent layers have no gradient of the gradient in "
                "training. Call the layer with `training=False`."
            )

        return [tf.identity(tensor) for tensor in tensors], refuse

    there = [i for i, tensor in enumerate(gradients) if tensor is not None]
    guarded = guard(*(gradients[i] for i in there))
    for i, tensor in zip(there, guarded, strict=True):
        gradients[i] = tensor
    return gradients
