"""The encoder-decoder of tensorflow-addons' tutorial, on TensorFlow 2.15."""

import tensorflow as tf
import tensorflow_addons as tfa
from worker import serve

layers, seq2seq = tf.keras.layers, tfa.seq2seq


class Model(tf.keras.Model):
    def __init__(self, steps: int, vocabulary: int, units: int) -> None:
        super().__init__()
        self.source_embedding = layers.Embedding(vocabulary, units)
        self.target_embedding = layers.Embedding(vocabulary, units)
        self.encoder = layers.Bidirectional(
            layers.GRU(units, return_sequences=True, return_state=True)
        )
        self.bridge = layers.Dense(units, activation="tanh")
        self.attention = seq2seq.BahdanauAttention(units)
        self.cell = seq2seq.AttentionWrapper(
            layers.GRUCell(units),
            self.attention,
            attention_layer=layers.Dense(
                units, activation="tanh", use_bias=False
            ),
        )
        self.logits = layers.Dense(vocabulary, use_bias=False)
        self.teacher = seq2seq.BasicDecoder(
            self.cell, seq2seq.TrainingSampler(), output_layer=self.logits
        )
        self.greedy = seq2seq.BasicDecoder(
            self.cell,
            seq2seq.GreedyEmbeddingSampler(),
            output_layer=self.logits,
            maximum_iterations=steps,
        )
        self.beams = {
            width: seq2seq.BeamSearchDecoder(
                self.cell,
                width,
                output_layer=self.logits,
                length_penalty_weight=1.0,
                maximum_iterations=steps,
            )
            for width in (5,)
        }

    def start(self, source, copies=1):
        memory, *states = self.encoder(self.source_embedding(source))
        state = self.bridge(tf.concat(states, axis=-1))
        if copies > 1:
            memory = seq2seq.tile_batch(memory, copies)
            state = seq2seq.tile_batch(state, copies)
        self.attention.setup_memory(memory)
        rows = source.shape[0] * copies
        return self.cell.get_initial_state(
            batch_size=rows, dtype=tf.float32
        ).clone(cell_state=state)


def make(
    batch: int, steps: int, vocabulary: int, units: int, training_steps: int
):
    tf.random.set_seed(0)
    source, target = tf.unstack(
        tf.random.uniform((2, batch, steps), 4, vocabulary, tf.int32)
    )
    model = Model(steps, vocabulary, units)
    optimizer = tf.keras.optimizers.Adam(1e-3, global_clipnorm=1.0)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            outputs, _, _ = model.teacher(
                model.target_embedding(target),
                initial_state=model.start(source),
                sequence_length=tf.fill([batch], steps),
            )
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(
                    target, outputs.rnn_output
                )
            )
        optimizer.minimize(loss, model.trainable_variables, tape=tape)
        return loss

    def training():
        for _ in range(training_steps):
            loss = step()
        loss.numpy()

    def decode(beam_width: int):
        decoder = model.beams.get(beam_width, model.greedy)
        outputs, _, _ = decoder(
            model.target_embedding.embeddings,
            start_tokens=tf.fill([batch], 2),
            end_token=vocabulary,  # never written: all steps are taken
            initial_state=model.start(source, beam_width),
        )
        return outputs.predicted_ids if beam_width > 1 else outputs.sample_id

    greedy, beam = (
        tf.function(lambda width=width: decode(width)) for width in (1, 5)
    )
    step()  # Embeddings are made on first use.
    return {
        "training": training,
        "greedy": lambda: greedy().numpy(),
        "beam-5": lambda: beam().numpy(),
    }


if __name__ == "__main__":
    serve(make)
