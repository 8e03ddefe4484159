"""The ROS nodes of the robot."""

import varl_common.uncaught  # noqa: F401 (before what may be missing)
