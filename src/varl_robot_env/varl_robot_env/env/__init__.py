"""The robot as an environment. No ROS."""
