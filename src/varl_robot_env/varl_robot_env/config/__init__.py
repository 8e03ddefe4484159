"""A robot's and a driver's files as strict models."""
