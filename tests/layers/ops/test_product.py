"""The product of the last axis against NumPy, with its gradient."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers.ops.product import product
from tests.oracles import assert_close

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 3), (2, 5, 4, 3), (0, 4, 3)])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_product(shape, transposed, biased):
    x = RNG.normal(size=shape).astype("float32")
    kernel = RNG.normal(size=(3, 6)).astype("float32")
    bias = RNG.normal(size=6).astype("float32") if biased else None
    signature = [tf.TensorSpec((None,) * (len(shape) - 1) + (3,))]
    known = []

    @tf.function(input_signature=signature, autograph=False)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            given = tf.constant(kernel.T if transposed else kernel)
            y = product(x, given, bias, transposed)
            known.append(y.shape.as_list())
            loss = tf.reduce_sum(y**2)
        return y, tape.gradient(loss, x)

    expected = x @ kernel + (0 if bias is None else bias)
    assert_close(
        run(tf.constant(x)), (expected, 2 * expected @ kernel.T), atol=1e-4
    )
    assert known == [[None] * (len(shape) - 1) + [6]]
