"""What every ROS node of the project shares."""
