"""Runs a recurrent layer of PyTorch when `layers.py` asks for it.

Reads requests from standard input, one line of JSON each, and answers each
with one line: the milliseconds that a pass took.
"""

import json
import sys
import time

import torch


def make(cell: str, shape: list[int], dtype: str, lengths: list[int] | None):
    batch, steps, units = shape
    kind = getattr(torch, dtype)
    layer = getattr(torch.nn, cell)(units, units, batch_first=True).to(kind)
    x = torch.randn(batch, steps, units, dtype=kind, requires_grad=True)

    def run():
        inputs = x
        if lengths is not None:
            inputs = torch.nn.utils.rnn.pack_padded_sequence(
                x, torch.tensor(lengths), True, enforce_sorted=False
            )
        outputs = layer(inputs)[0]
        return outputs.data if lengths is not None else outputs

    def forward():
        with torch.no_grad():
            run().sum().item()

    def training():
        layer.zero_grad()
        x.grad = None
        run().float().square().mean().backward()

    return {"forward": forward, "training": training}


def main() -> None:
    passes = {}
    for line in sys.stdin:
        request = json.loads(line)
        answer = None
        if "make" in request:
            passes = make(
                request["make"],
                request["shape"],
                request["dtype"],
                request["lengths"],
            )
        else:
            start = time.perf_counter()
            passes[request["run"]]()
            answer = 1e3 * (time.perf_counter() - start)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
