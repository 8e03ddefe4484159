"""Advice as a generated video would give it: filmed, and tracked."""
