"""The ROS node ``advisor``."""
