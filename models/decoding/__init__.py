"""Decoding: from next-token scores to whole outputs, inside the graph.

Nothing here knows which model it decodes. A decoder is a *step*:

    logits, alignments, state = step(ids, state)

It takes the tokens chosen last (R,) and a nested structure of tensors whose
first axis is R, and returns

    logits       (R, V), of the tokens that may follow, with V a known size;
                 log-probabilities do as well, they are their own logits;
    alignments   (R, S), where it looked in the source; or None;
    state        the new state, of the same structure and shapes.

R = B·K rows: the K hypotheses of a sentence stand next to each other. What
belongs to a sentence and never changes, such as its memory, is no part of the
state: the step closes over it, so it is not copied K times. Id 0 is padding:
it is never chosen, and fed to rows that have ended, whatever comes of it.
"""
