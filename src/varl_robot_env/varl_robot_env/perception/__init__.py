"""Where things are, from camera pictures. No ROS."""
