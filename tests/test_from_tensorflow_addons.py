"""The guide for those who come from tensorflow-addons."""

import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "from-tensorflow-addons.md").read_text()
# All that version 0.23 exports.
EXPORTS = """
    ESNCell LayerNormLSTMCell LayerNormSimpleRNNCell NASCell PeepholeLSTMCell
    AttentionMechanism AttentionWrapper AttentionWrapperState BahdanauAttention
    BahdanauMonotonicAttention LuongAttention LuongMonotonicAttention hardmax
    monotonic_attention safe_cumprod BasicDecoder BasicDecoderOutput
    BeamSearchDecoder BeamSearchDecoderOutput BeamSearchDecoderState
    FinalBeamSearchDecoderOutput gather_tree gather_tree_from_array tile_batch
    BaseDecoder Decoder dynamic_decode SequenceLoss sequence_loss CustomSampler
    GreedyEmbeddingSampler InferenceSampler SampleEmbeddingSampler Sampler
    ScheduledEmbeddingTrainingSampler ScheduledOutputTrainingSampler
    TrainingSampler
""".split()


def test_every_name_is_in_a_table():
    first_columns = " ".join(re.findall(r"^\|(.*?)\|", PAGE, re.MULTILINE))
    names = set(re.findall(r"\w+", first_columns))
    assert not set(EXPORTS) - names


def test_examples_run(tmp_path, monkeypatch, seed):
    golden = np.load(ROOT / "tests/golden/decoder_gru_bahdanau.npz")
    weights = {
        name.removeprefix("wrap/w/"): golden[name]
        for name in golden
        if name.startswith("wrap/w/")
    }
    np.savez(tmp_path / "decoder.npz", **weights)
    monkeypatch.chdir(tmp_path)
    names = {}
    for example in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        if "import tensorflow_addons" not in example:
            exec(example, names)
    best = names["found"].ids[:, 0, :5]
    np.testing.assert_array_equal(best, names["labels"][:3])
    kernel = names["cell"].attentions[0].memory_kernel
    loaded = weights["BahdanauAttention/memory_layer/kernel"]
    np.testing.assert_array_equal(kernel, loaded)
