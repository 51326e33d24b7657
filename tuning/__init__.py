"""The search for hyperparameters, with KerasTuner.

`space` says what may vary, `hypermodel` builds and trains one choice, and
`search` tries many. The models themselves know nothing of a search.
"""

from keras_recurrent.tuning.hypermodel import (
    Seq2SeqHyperModel as Seq2SeqHyperModel,
)
from keras_recurrent.tuning.search import TrialResult as TrialResult
from keras_recurrent.tuning.search import results_table as results_table
from keras_recurrent.tuning.search import tune as tune
from keras_recurrent.tuning.space import space as space
