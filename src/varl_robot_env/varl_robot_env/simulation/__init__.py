"""The arm in MuJoCo, and the world for Gazebo. No ROS."""
