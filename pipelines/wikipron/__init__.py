"""Pronunciations from files of WikiPron or SIGMORPHON; see `builder.py`."""
