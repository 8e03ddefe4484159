#!/bin/bash
# Enter ROS 2, an arm's workspace where OVERLAY names its install folder, ours and its virtual environment; then run the
# command.
set -eo pipefail
source "/opt/ros/${ROS_DISTRO}/setup.bash"
if [ -n "${OVERLAY:-}" ]; then source "${OVERLAY}/local_setup.bash"; fi
source "/varl/.ros/${ROS_DISTRO}/install/setup.bash"
source "/varl/.ros/${ROS_DISTRO}/venv/bin/activate"
exec "$@"
