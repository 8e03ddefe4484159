"""What is brought up: programs, their arguments, the nodes that these describe. Needs nothing beyond a plain ROS 2."""
