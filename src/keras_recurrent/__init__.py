"""Recurrent sequence models with attention for Keras 3 on TensorFlow.

Import what you need from the sub-packages; this module itself stays light:

- `keras_recurrent.layers`: cells, recurrent layers and attention
- `keras_recurrent.models`: encoder, decoder, `Seq2Seq` and beam search
- `keras_recurrent.pipelines`: data, training, evaluation and export
- `keras_recurrent.tuning`: hyperparameter search
"""

from keras_recurrent.version import __version__ as __version__
