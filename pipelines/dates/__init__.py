"""Dates as people write them; see `builder.py`."""
