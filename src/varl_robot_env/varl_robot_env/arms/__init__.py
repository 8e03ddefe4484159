"""Arms behind ROS topics: a driver's, watched all the time, and that of a simulator in lock-step."""
