"""What the step of a cell does, as far as the two loops need to know."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import tensorflow as tf

from keras_recurrent.layers.loops.with_values import with_values


class Product(NamedTuple):
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


@dataclass(frozen=True)
class StepPlan:
    """The step of a cell: its products, its gates, and what they need.

    Weights are arguments, as `values`, rather than read: a gradient made by
    hand must name everything that it is a gradient of.
    """

    cell: Any
    structure: Any
    """A nested structure, as the step takes its inputs."""
    weights: Sequence[Any]
    """The floating-point variables of the cell."""
    products: Sequence[Product] = ()
    """In the order in which the step makes them."""
    gate_specs: Mapping[int, tf.TensorSpec] = field(default_factory=dict)
    """Of those gates whose derivatives are functions of what they put out."""
    output_state: int = 0
    """Which new state is the output as well."""
    output_is_extra: bool = False
    """Whether none is, so that the output is carried as one more state."""
    kept_states: Collection[int] = ()
    """Which states the backward loop needs at each time step."""
    kept_results: Collection[int] = ()
    """Which results of products it needs."""
    direct: Sequence[int] = ()
    """Which values are used other than in products."""

    def step(
        self, inputs: Any, states: Any, values: Any, dot: Any, gate: Any
    ) -> tuple[Any, list[Any]]:
        """Make one step of the cell.

        Args:
            inputs: The projected inputs, flat, each (B, …).
            states: Each (B, …); the last one is the output of the step before
                if it is extra.
            values: Those of the weights, and behind them the constants.
            dot, gate: As in `RecurrentCell.step`.

        Returns:
            The output (B, U) and the new states.
        """
        constants = values[len(self.weights) :]
        inputs = tf.nest.pack_sequence_as(self.structure, inputs)
        own_states = states[:-1] if self.output_is_extra else states
        with with_values(self.weights, values):
            output, new_states = self.cell.step(
                inputs, own_states, dot, gate, *constants
            )
        extra = [output] if self.output_is_extra else []
        return output, [*new_states, *extra]

    def kernels(self, values: list[Any]) -> list[Any]:
        """The matrices of the products, cut out before the loop starts."""
        return [
            values[product.weight][product.rows, product.columns]
            for product in self.products
        ]


def with_rows(tensor: Any, rows: int | None) -> tf.TensorSpec:
    """The specification of (B, …), with `rows` for B."""
    return tf.TensorSpec((rows, *tensor.shape[1:]), tensor.dtype)


def dropped(factor: Any, product: Product, dropout_mask: Any) -> Any:
    """The factor (…, U) of a product, with recurrent dropout (B, U)."""
    if not product.drop or dropout_mask is None:
        return factor
    return factor * dropout_mask
