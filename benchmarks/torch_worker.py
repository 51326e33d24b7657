"""A recurrent layer of PyTorch."""

import torch
from worker import serve


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


if __name__ == "__main__":
    serve(make)
