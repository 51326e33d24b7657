"""Text to tokens and back, by core TensorFlow operations alone."""
