"""The mean of the weights of several epochs, as the model of a run."""

import json

from keras_recurrent.models import Seq2Seq
from keras_recurrent.pipelines.checkpoints import (
    checkpoint_path,
    load_weights,
    save_model,
)
from keras_recurrent.pipelines.files import whole_file
from keras_recurrent.pipelines.history import averaged_epochs, best_epoch
from keras_recurrent.pipelines.moving_average import swap_averages
from keras_recurrent.pipelines.run import Run, RunError


def average_epochs(
    run: Run, model: Seq2Seq, validation: object, is_chief: bool = True
) -> None:
    """Put the mean of the weights of some epochs in the place of the best.

    Which ones, `training.average` and `training.average_of` say. Near the end
    of a training, weights go around a minimum; their mean lies closer to it
    than each of them, and costs nothing more at decoding (Izmailov et al. 2018,
    arXiv:1803.05407; of the last epochs Vaswani et al. 2017, section 6.1).

    Prints which epochs they are, and the validation loss.

    Args:
        run: A run whose epochs are done.
        model: Its model, compiled; it has the mean afterwards.
        validation: Batches for validation.
        is_chief: Whether this process is to write them, of several workers.

    Raises:
        RunError: the weights of such an epoch are missing or damaged.
    """
    history, config = run.history(), run.recipe.training
    epochs = averaged_epochs(history, config)
    best = best_epoch(history, config)
    totals = [0.0 for _ in model.trainable_variables]
    # The best one last: what is not averaged, as the optimizer, is its.
    for epoch in sorted(epochs, key=lambda epoch: epoch == best):
        path = checkpoint_path(run, epoch)
        if not path.exists():
            raise RunError(f"{path}: is not there, so it cannot be averaged")
        load_weights(model, path)
        swap_averages(model)
        for i, weight in enumerate(model.trainable_variables):
            totals[i] = totals[i] + weight.numpy().astype("float64")
    for weight, total in zip(model.trainable_variables, totals, strict=True):
        weight.assign(total / len(epochs))
    loss = model.evaluate(validation, verbose=0, return_dict=True)["loss"]
    if not is_chief:
        return
    save_model(run, model)
    # Last: whoever finds it knows that the model is the mean.
    with whole_file(run.average) as draft:
        draft.write_text(
            json.dumps({"epochs": epochs, "val_loss": loss}) + "\n"
        )
    print(
        f"Average of epochs {', '.join(map(str, epochs))}: validation loss "
        f"{loss:.4f}; that of the best single one, epoch {best}, was "
        f"{history[best - 1]['val_loss']:.4f}",
        flush=True,
    )
