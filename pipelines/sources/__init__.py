"""Pairs of texts, wherever they come from."""

from keras_recurrent.pipelines.sources.load import (
    fingerprint as fingerprint,
)
from keras_recurrent.pipelines.sources.load import (
    group_references as group_references,
)
from keras_recurrent.pipelines.sources.load import load_pairs as load_pairs
from keras_recurrent.pipelines.sources.load import parts_of as parts_of
from keras_recurrent.pipelines.sources.load import read_texts as read_texts
from keras_recurrent.pipelines.sources.load import source_of as source_of
from keras_recurrent.pipelines.sources.load import (
    source_of_files as source_of_files,
)
from keras_recurrent.pipelines.sources.mixture import Mixture as Mixture
from keras_recurrent.pipelines.sources.selected import Selected as Selected
from keras_recurrent.pipelines.sources.source import Source as Source
