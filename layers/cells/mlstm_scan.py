"""The mLSTM over all time steps, in parallel."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_recurrent.layers.ops.known_shape import known_shape
from keras_recurrent.layers.ops.linear_scan import before, last_of, linear_scan
from keras_recurrent.layers.ops.recurrence import recurrence

# Within a chunk, work grows with the square of its length; for each chunk a
# matrix is kept for the gradient.
_CHUNK = 64


def mlstm_scan(
    inputs: Sequence[Any], states: Sequence[Any], mask: Any = None
) -> tuple[Any, list[Any]]:
    """Write pairs into matrices and read from them, for all time steps.

    What `MLSTMCell` does step by step,

        C_t = f_t C_{t-1} + i_t v_t·k_tᵀ
        n_t = f_t n_{t-1} + i_t k_t
        r_t = C_t·q_t / max(|n_tᵀ·q_t|, 1),

    is put in terms of the state C_0 before a chunk of time steps:

        F_t     = Σ_{r≤t} log f_r
        D_ts    = exp(F_t − F_s + log i_s) for s ≤ t, else 0
        C_t·q_t = exp(F_t) C_0·q_t + Σ_s D_ts (k_sᵀ·q_t) v_s,

    which for all time steps of the chunk are products of matrices; the states
    within it are never made. The states before each chunk are linear in each
    other, and come from `linear_scan`. n is one more row of C, for values that
    are 1. All is divided by exp(m_t), as in the cell.

    Args:
        inputs: Queries, keys, values, each (T, B, heads, d), time-major, and
            log i and log f, each (T, B, heads).
        states: C (B, heads, d, d), n (B, heads, d) and m (B, heads).
        mask: (T, B), boolean, or None. At masked time steps states stay, and
            what is read is arbitrary.

    Returns:
        What was read, (T, B, heads, d), and the list of final states.

    Reference:
        Beck et al. (2024), xLSTM, arXiv:2405.04517, appendix A.
    """
    q, k, v, log_i, log_f = inputs
    c, n, m = states
    time = tf.shape(q)[0]
    v = tf.concat([v, tf.ones_like(v[..., :1])], axis=-1)
    c = tf.concat([c, tf.expand_dims(n, -2)], axis=-2)  # (B, heads, d + 1, d)
    if mask is not None:
        log_i = tf.where(tf.expand_dims(mask, -1), log_i, -float("inf"))
        log_f = tf.where(tf.expand_dims(mask, -1), log_f, 0.0)
    # (N, B, heads, L, d) and (N, B, heads, L), N chunks of L time steps.
    q, k, v, log_f = (_cut(x) for x in (q, k, v, log_f))
    log_i = _cut(log_i, -float("inf"))

    total = tf.cumsum(log_f, axis=-1)  # F
    whole = total[..., -1]
    # What each time step leaves at the end of its chunk.
    ends = tf.expand_dims(whole, -1) - total + log_i
    m_end = _stabilisers(
        whole, tf.reduce_max(ends, axis=-1), m
    )  # (N, B, heads)
    m_start = before(m_end, m)
    ends = tf.expand_dims(tf.exp(ends - tf.expand_dims(m_end, -1)), -1)
    written = tf.matmul(v * ends, k, transpose_a=True)
    kept = tf.expand_dims(tf.exp(whole + m_start - m_end), -1)
    kept = tf.expand_dims(kept, -1)
    c_end = linear_scan(kept * tf.ones_like(written), written, c)

    # What each time step leaves at those behind it in its chunk.
    paths = tf.expand_dims(total, -1) + tf.expand_dims(log_i - total, -2)
    length = tf.shape(q)[3]
    past = tf.linalg.band_part(tf.ones((length, length)), -1, 0) > 0
    # Before the exponential, which is infinite for the future.
    paths = tf.where(past, paths, -float("inf"))  # (N, B, heads, L, L)
    start = total + tf.expand_dims(m_start, -1)
    m_t = tf.stop_gradient(tf.maximum(start, tf.reduce_max(paths, axis=-1)))
    m_t, start = tf.expand_dims(m_t, -1), tf.expand_dims(start, -1)
    weights = tf.exp(paths - m_t) * tf.matmul(q, k, transpose_b=True)
    values = tf.matmul(weights, v) + tf.exp(start - m_t) * tf.matmul(
        q, before(c_end, c), transpose_b=True
    )
    values, weight = values[..., :-1], values[..., -1:]
    read = values / denominator(weight, m_t)

    read = tf.transpose(read, (0, 3, 1, 2, 4))  # (N, L, B, heads, d)
    shape = tf.concat([[-1], tf.shape(read)[2:]], axis=0)
    read = known_shape(tf.reshape(read, shape)[:time], inputs[0].shape)
    c = last_of(c_end, c)
    return read, [c[..., :-1, :], c[..., -1, :], last_of(m_end, m)]


def denominator(weight: Any, m: Any) -> Any:
    """Return max(|nᵀ·q|, 1), divided by exp(m).

    It is kept from zero: below the bound nᵀ·q is nothing but rounding.
    """
    return tf.maximum(tf.abs(weight), tf.maximum(tf.exp(-m), 1e-6))


def _cut(x: Any, padding: float = 0.0) -> Any:
    """Cut (T, B, heads, …) into (N, B, heads, L, …), L at most `_CHUNK`."""
    time = tf.shape(x)[0]
    length = tf.clip_by_value(time, 1, _CHUNK)
    number = -(-time // length)
    behind = [(0, number * length - time)]
    paddings = behind + [(0, 0)] * (x.shape.rank - 1)
    padded = tf.pad(x, paddings, constant_values=padding)
    shape = tf.concat([[number, length], tf.shape(x)[1:]], axis=0)
    chunks = tf.reshape(padded, shape)
    chunks = known_shape(chunks, (None, None, *x.shape[1:]))
    return tf.transpose(chunks, (0, 2, 3, 1, *range(4, x.shape.rank + 1)))


def _stabilisers(whole: Any, ends: Any, m: Any) -> Any:
    """Return m at the end of each chunk, (N, B, heads); it has no gradient."""

    def step(inputs: Any, m: Any) -> tuple[Any, Any]:
        whole, end = inputs
        m = tf.maximum(whole + m, end)
        return m, m

    return tf.stop_gradient(recurrence(step, (whole, ends), m, m)[0])
