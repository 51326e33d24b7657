"""The embeddings of tokens."""

from typing import Any

import keras


def token_embedding(
    vocabulary_size: int, size: int, dtype: Any, tied: bool = False
) -> keras.layers.Embedding:
    """Make the embeddings of a vocabulary.

    Their numbers have the standard deviation 1, as the kernels of cells expect
    it of their inputs. (With Keras's own, 0.03, cells hardly tell tokens apart
    at first: on 5,000 sentence pairs the validation loss after 3 epochs was
    4.68, with 0.1 4.44, with 0.3 4.20, with 1 4.06.) Tied ones, which are
    weights of logits too, have 1/√size, so that logits start below 1.

    Args:
        vocabulary_size: Number V of token ids.
        size: Size E of an embedding.
        dtype: The dtype policy.
        tied: Whether they make the logits as well.
    """
    return keras.layers.Embedding(
        vocabulary_size,
        size,
        embeddings_initializer=keras.initializers.RandomNormal(
            stddev=size**-0.5 if tied else 1.0
        ),
        dtype=dtype,
    )
