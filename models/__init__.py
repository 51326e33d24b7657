"""Encoder-decoder models with attention, their loss and their decoding.

Shapes in this package are written with these letters:

    B  batch           S  source steps      T  target steps
    E  embedding size  U  units             V  vocabulary size
    M  memory size     K  hypotheses kept   L  longest output
"""

from keras_recurrent.models.decoder import Decoder as Decoder
from keras_recurrent.models.decoding.hypotheses import (
    Hypotheses as Hypotheses,
)
from keras_recurrent.models.encoder import Encoder as Encoder
from keras_recurrent.models.masked_accuracy import (
    MaskedAccuracy as MaskedAccuracy,
)
from keras_recurrent.models.masked_crossentropy import (
    MaskedCrossentropy as MaskedCrossentropy,
)
from keras_recurrent.models.seq2seq import Seq2Seq as Seq2Seq
