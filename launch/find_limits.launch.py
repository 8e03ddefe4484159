"""Show an arm its workspace: `ros2 launch varl_bringup find_limits.launch.py --show-args` lists the arguments."""

from launch import LaunchDescription
from varl_bringup.launch_description import describe


def generate_launch_description() -> LaunchDescription:
    return describe("find_limits")
