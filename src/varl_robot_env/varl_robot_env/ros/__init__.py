"""Between the cores and ROS: conversions, arms and cameras behind topics, and RosEnv."""
