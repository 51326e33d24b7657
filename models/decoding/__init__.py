"""Decoding: from next-token scores to whole outputs, inside the graph.

Nothing here knows which model it decodes. A decoder is a *step*:

    log_probs, alignments, state = step(ids, state)

It takes the tokens chosen last (R,) and a nested structure of tensors whose
first axis is R, and returns the log-probabilities (R, V) of the tokens that
may follow, the alignments (R, S) it looked with, and the new state. R = B·K
rows: the K hypotheses of a sentence stand next to each other. Id 0 is padding
and never chosen.
"""
