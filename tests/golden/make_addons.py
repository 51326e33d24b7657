"""Write the numbers of two cells of tensorflow-addons in `addons_*.npz`.

Each file holds the sequences `x` (B, T, D), the weights by their names and in
their order there, `w/…`, the outputs `y` and the final states `state0`, ….
Made with tensorflow-addons 0.23.0 on TensorFlow 2.15.1.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

B, T, D, U = 3, 5, 4, 6
CELLS = {
    "esn_cell": tfa.rnn.ESNCell(U, connectivity=0.5, leaky=0.7),
    "nas_cell_projected": tfa.rnn.NASCell(U, projection=3, use_bias=True),
}

draws = np.random.default_rng(20261124)
for name, cell in CELLS.items():
    layer = tf.keras.layers.RNN(cell, return_sequences=True, return_state=True)
    x = draws.normal(size=(B, T, D)).astype("float32")
    layer(x)
    layer.set_weights(
        [draws.normal(size=w.shape, scale=0.5) for w in layer.weights]
    )
    y, *states = layer(x)
    np.savez_compressed(
        Path(__file__).with_name(f"addons_{name}.npz"),
        x=x,
        y=y,
        **{f"state{n}": state for n, state in enumerate(states)},
        **{f"w/{w.name}": w.numpy() for w in layer.weights},
    )
