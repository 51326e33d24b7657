"""Joey NMT's recurrent encoder-decoder, on PyTorch."""

import logging
from types import SimpleNamespace

import torch
from joeynmt.model import build_model
from joeynmt.search import beam_search, greedy
from joeynmt.vocabulary import Vocabulary
from worker import serve

SPECIAL = SimpleNamespace(
    unk_token="<unk>",
    pad_token="<pad>",
    bos_token="<s>",
    eos_token="</s>",
    sep_token=None,
    unk_id=0,
    pad_id=1,
    bos_id=2,
    eos_id=3,
    sep_id=None,
    lang_tags=[],
)


def make(
    batch: int, steps: int, vocabulary: int, units: int, training_steps: int
):
    logging.disable(logging.CRITICAL)
    torch.manual_seed(0)
    tokens = Vocabulary([f"w{i}" for i in range(vocabulary - 4)], SPECIAL)
    shared = {
        "type": "recurrent",
        "rnn_type": "gru",
        "num_layers": 1,
        "hidden_size": units,
        "embeddings": {"embedding_dim": units},
        "dropout": 0.0,
    }
    decoder = {
        "attention": "bahdanau",
        "input_feeding": True,
        "init_hidden": "bridge",
        "hidden_dropout": 0.0,
    }
    model = build_model(
        {
            "encoder": shared | {"bidirectional": True},
            "decoder": shared | decoder,
        },
        tokens,
        tokens,
    )
    model.loss_function = ("crossentropy", 0.0)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    source, target = torch.randint(4, vocabulary, (2, batch, steps))
    lengths = torch.full((batch,), steps)
    mask = torch.ones(batch, 1, steps, dtype=torch.bool)

    def training():
        model.train()
        for _ in range(training_steps):
            optimizer.zero_grad()
            loss, *_ = model(
                return_type="loss",
                src=source,
                src_mask=mask,
                src_length=lengths,
                trg_input=target,
                trg=target,
                trg_mask=mask,
                trg_length=lengths,
            )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        loss.item()

    @torch.no_grad()
    def decode(beam_width: int):
        model.eval()
        outputs, hidden, *_ = model(
            return_type="encode",
            src=source,
            src_length=lengths,
            src_mask=mask,
        )
        arguments = {
            "model": model,
            "encoder_output": outputs,
            "encoder_hidden": hidden,
            "src_mask": mask,
            "max_output_length": steps,
            "min_output_length": steps,
        }
        if beam_width == 1:
            return greedy(**arguments)
        return beam_search(
            **arguments, alpha=1.0, beam_size=beam_width, n_best=1
        )

    return {
        "training": training,
        "greedy": lambda: decode(1),
        "beam-5": lambda: decode(5),
    }


if __name__ == "__main__":
    serve(make)
