"""Judging an advisor on labelled states before it is trusted with an arm."""
