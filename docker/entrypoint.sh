#!/bin/bash
# Enter ROS 2, the workspace and its virtual environment, then run the command.
set -eo pipefail
source "/opt/ros/${ROS_DISTRO}/setup.bash"
source "/varl/.ros/${ROS_DISTRO}/install/setup.bash"
source "/varl/.ros/${ROS_DISTRO}/venv/bin/activate"
exec "$@"
