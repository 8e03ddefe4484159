"""Runs a graph without the launch package: processes, their output, and the end of all of them."""
