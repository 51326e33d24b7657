"""Print the validation loss of a run's best model per token.

That of `metrics.jsonl` is the mean over batches, weighted by their sentences.
Batches are of like lengths, so it counts the tokens of long sentences less.

    python benchmarks/training_loss.py RUN
"""

import sys

import keras

import keras_recurrent.models  # noqa: F401  # Keras finds its classes here
from keras_recurrent.pipelines import Run, training_batches
from keras_recurrent.pipelines.splits import load_splits
from keras_recurrent.pipelines.vocabulary import load_vocabularies


def main() -> None:
    run = Run.open(sys.argv[1])
    pairs = load_splits(run.recipe).pairs["validation"]
    # All in one batch, of which the loss is the mean over its tokens.
    batches = training_batches(
        pairs, *load_vocabularies(run), 1_000_000, shuffle=False
    )
    model = keras.saving.load_model(run.model)
    print(model.evaluate(batches, verbose=0, return_dict=True)["loss"])


if __name__ == "__main__":
    main()
