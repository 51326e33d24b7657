"""What cells and loops compute with. Nothing in here knows a cell."""
