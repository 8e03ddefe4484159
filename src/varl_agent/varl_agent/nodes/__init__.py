"""The ROS nodes ``learner``, ``evaluate`` and ``teleop``."""

import varl_common.host.uncaught  # noqa: F401 (before what may be missing)
