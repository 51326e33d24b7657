"""Our encoder-decoder, through `Seq2Seq` and `model.fit`."""

import keras
import numpy as np
import tensorflow as tf
from worker import serve

from keras_recurrent.models import Decoder, Encoder, MaskedCrossentropy, Seq2Seq


def make(
    batch: int, steps: int, vocabulary: int, units: int, training_steps: int
):
    keras.utils.set_random_seed(0)
    start_id, end_id = 2, 3
    model = Seq2Seq(
        Encoder(vocabulary, units, units, bidirectional=True),
        Decoder(
            vocabulary, units, units, query="new_state", input_feeding=True
        ),
        start_id,
        end_id,
    )
    model.build()
    # The end is never written, so that every sentence takes all steps.
    logits = model.decoder.output_layer
    logits.bias.assign(-1e9 * tf.one_hot(end_id, vocabulary))
    logits.bias.trainable = False
    model.compile(
        keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        MaskedCrossentropy(),
        jit_compile=False,
    )
    rng = np.random.default_rng(0)
    source, labels = rng.integers(4, vocabulary, (2, batch, steps), "int32")
    target = np.concatenate([np.full((batch, 1), start_id), labels[:, :-1]], 1)
    inputs = {"source": source, "target": target.astype("int32")}
    data = tf.data.Dataset.from_tensors((inputs, labels)).cache().repeat()
    # As in `keras_recurrent.pipelines.batching`.
    options = tf.data.Options()
    options.autotune.enabled = False
    data = data.with_options(options)

    def training():
        model.fit(
            data, steps_per_epoch=training_steps, shuffle=False, verbose=0
        )

    def decode(beam_width: int):
        best = model.generate(
            source,
            beam_width=beam_width,
            max_length=steps,
            length_penalty=1.0 if beam_width > 1 else 0.0,
            n_best=1,
            jit_compile=True,
        )
        return best.ids.numpy()

    return {
        "training": training,
        "greedy": lambda: decode(1),
        "beam-5": lambda: decode(5),
    }


if __name__ == "__main__":
    serve(make)
