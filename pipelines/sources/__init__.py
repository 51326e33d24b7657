"""Pairs of texts, wherever they come from."""

from keras_recurrent.pipelines.sources.load import (
    fingerprint as fingerprint,
)
from keras_recurrent.pipelines.sources.load import (
    group_references as group_references,
)
from keras_recurrent.pipelines.sources.load import load_pairs as load_pairs
from keras_recurrent.pipelines.sources.load import place_of as place_of
from keras_recurrent.pipelines.sources.load import read_texts as read_texts
from keras_recurrent.pipelines.sources.load import (
    source_of_files as source_of_files,
)
