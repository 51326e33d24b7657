"""The guide for those who come from tensorflow-addons."""

import re
from pathlib import Path

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
