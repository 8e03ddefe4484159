"""The ROS nodes of the robot."""
