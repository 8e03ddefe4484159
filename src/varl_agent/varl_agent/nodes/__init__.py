"""The ROS nodes ``learner``, ``evaluate`` and ``teleop``."""

import varl_common.uncaught  # noqa: F401 (before what may be missing)
