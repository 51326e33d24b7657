"""Cells over time: how the layers run them, in inference and training."""
