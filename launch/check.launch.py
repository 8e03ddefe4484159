"""Is this arm ready?: `ros2 launch varl_bringup check.launch.py --show-args` lists the arguments."""

from launch import LaunchDescription
from varl_bringup.launch_description import describe


def generate_launch_description() -> LaunchDescription:
    return describe("check")
