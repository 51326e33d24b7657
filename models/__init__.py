"""Encoder-decoder models with attention, their loss and their decoding.

Shapes in this package are written with these letters:

    B  batch           S  source steps      T  target steps
    E  embedding size  U  units             V  vocabulary size
    M  memory size     K  hypotheses kept   L  longest output

Import this package before `keras.saving.load_model` reads a file with one of
these models in it.
"""

from keras_recurrent.models.decoder import Decoder as Decoder
from keras_recurrent.models.decoding.beam_search import (
    beam_search as beam_search,
)
from keras_recurrent.models.decoding.constraints import (
    Constraints as Constraints,
)
from keras_recurrent.models.decoding.ensemble import ensemble as ensemble
from keras_recurrent.models.decoding.greedy_search import (
    greedy_search as greedy_search,
)
from keras_recurrent.models.decoding.hypotheses import Hypotheses as Hypotheses
from keras_recurrent.models.decoding.sampling import sample as sample
from keras_recurrent.models.decoding.scoring import (
    score_target as score_target,
)
from keras_recurrent.models.encoder import Encoder as Encoder
from keras_recurrent.models.guided_attention import (
    guided_attention_loss as guided_attention_loss,
)
from keras_recurrent.models.learning_check import (
    LearningCheck as LearningCheck,
)
from keras_recurrent.models.masked_accuracy import (
    MaskedAccuracy as MaskedAccuracy,
)
from keras_recurrent.models.masked_crossentropy import (
    MaskedCrossentropy as MaskedCrossentropy,
)
from keras_recurrent.models.multi_worker import (
    MultiWorkerTraining as MultiWorkerTraining,
)
from keras_recurrent.models.scheduled_sampling import (
    scheduled_sampling as scheduled_sampling,
)
from keras_recurrent.models.seq2seq import Seq2Seq as Seq2Seq
from keras_recurrent.models.seq2seq_ensemble import Ensemble as Ensemble
