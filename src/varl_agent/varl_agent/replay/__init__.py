"""Transitions: on disk, in batches, in and out of datasets."""
