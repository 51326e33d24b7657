"""What is found out about the step of a cell.

Tests `step_plan.py` and `with_values.py`.
"""

import dataclasses

import pytest
import tensorflow as tf

from keras_recurrent.layers.cells import get_cell
from keras_recurrent.layers.loops.plan_step import plan_step
from keras_recurrent.layers.loops.with_values import weights_and_values

# Which input has the gradient of each product's result; which states the
# backward loop needs, which results, which weights besides products; which
# state is the output. From the equations of the cells.
PLANS = {
    # All four gates are x + h·U: the gradient of the product is that of x.
    "lstm": ([0], {0, 1}, set(), [], 0),
    # The peepholes are used without a product.
    "peephole_lstm": ([0], {0, 1}, set(), [3, 4, 5], 0),
    # r multiplies the result, which the gradient of r needs; with the bias.
    "gru": ([None], {0}, {0}, [2], 0),
    "simple_rnn": ([0], {0}, set(), [], 0),
    # h is multiplied with a vector, not with a matrix.
    "ind_rnn": ([], {0}, set(), [1], 0),
    # Its states are [c, m], and m is the output.
    "nas": ([None], {0, 1}, {0}, [], 1),
}


def plan_of(cell):
    weights, values = weights_and_values(cell)
    states = tf.nest.flatten(cell.get_initial_state(2))
    projected = cell.project(tf.ones((5, 2, 3)))
    return plan_step(cell, weights, projected, states, values)


def built(name):
    cell = get_cell(name)(4)
    cell.build((None, 3))
    return cell


@pytest.mark.parametrize("name", PLANS)
def test_plan(name):
    plan = plan_of(built(name))
    found = (
        [product.input for product in plan.products],
        set(plan.kept_states),
        set(plan.kept_results),
        list(plan.direct),
        plan.output_state,
    )
    assert found == PLANS[name]
    assert not plan.output_is_extra


def test_a_plan_is_not_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan_of(built("lstm")).output_state = 1


def test_products_are_with_weights():
    cell = built("simple_rnn")
    cell.recurrent_kernel = tf.eye(4)
    with pytest.raises(ValueError, match="multiplies with weights of the cell"):
        plan_of(cell)
