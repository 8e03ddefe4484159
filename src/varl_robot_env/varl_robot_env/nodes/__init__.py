"""The ROS nodes of the robot."""

import varl_common.host.uncaught  # noqa: F401 (before what may be missing)
