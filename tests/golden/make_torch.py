"""Write the numbers of torch in `torch_*.npz`: `python make_torch.py`.

Each file holds the sequences `x` (B, T, D) and their `lengths` (B,), the state
dict `w/…`, and what the module returns: outputs `y` and final states `h` and
`c`, as torch arranges them, for whole sequences and (`…_packed`) for packed
ones. Made with torch 2.13.0.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

B, T, D, U = 3, 5, 4, 6
LENGTHS = [5, 3, 1]
MODULES = {
    "lstm": torch.nn.LSTM(D, U),
    "lstm_bidirectional": torch.nn.LSTM(D, U, 2, bidirectional=True),
    "lstm_no_bias": torch.nn.LSTM(D, U, bias=False),
    "gru_bidirectional": torch.nn.GRU(D, U, 2, bidirectional=True),
    "gru_no_bias": torch.nn.GRU(D, U, bias=False),
    "rnn_tanh": torch.nn.RNN(D, U, 2, nonlinearity="tanh"),
    "rnn_relu": torch.nn.RNN(D, U, 2, nonlinearity="relu", bidirectional=True),
    "lstm_projected": torch.nn.LSTM(D, U, 2, bidirectional=True, proj_size=2),
}

torch.manual_seed(20261124)
for name, module in MODULES.items():
    for weight in module.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    # The weights do not depend on it.
    module.batch_first = True
    x = torch.randn(B, T, D)
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True)
    arrays = {"x": x, "lengths": LENGTHS}
    for suffix, inputs in (("", x), ("_packed", packed)):
        with torch.no_grad():
            y, states = module(inputs)
        if suffix:
            y, _ = pad_packed_sequence(y, batch_first=True)
        h, *c = states if isinstance(states, tuple) else (states,)
        arrays |= {f"y{suffix}": y, f"h{suffix}": h}
        if c:
            arrays[f"c{suffix}"] = c[0]
    arrays |= {f"w/{key}": value for key, value in module.state_dict().items()}
    np.savez_compressed(
        Path(__file__).with_name(f"torch_{name}.npz"),
        **{key: np.asarray(value) for key, value in arrays.items()},
    )
