"""A training run from its settings to its report. No ROS."""
