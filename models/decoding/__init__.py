"""Decoding: from next-token scores to whole outputs, inside the graph.

Nothing here knows which model it decodes: a decoder is a `Step` (`step.py`).
"""
