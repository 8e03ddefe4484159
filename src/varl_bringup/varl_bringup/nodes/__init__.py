"""The ROS node ``recorder``."""

import varl_common.host.uncaught  # noqa: F401 (before what may be missing)
