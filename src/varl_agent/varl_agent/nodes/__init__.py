"""The ROS nodes ``learner``, ``evaluate`` and ``teleop``."""
