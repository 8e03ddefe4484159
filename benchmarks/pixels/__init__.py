"""Learning from pictures: how far, how fast, and at what cost. ``make bench-pixels``."""
