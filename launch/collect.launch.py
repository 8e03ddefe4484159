"""Label moments for a classifier: `ros2 launch varl_bringup collect.launch.py --show-args` lists the arguments."""

from launch import LaunchDescription
from varl_bringup.launch_description import describe


def generate_launch_description() -> LaunchDescription:
    return describe("collect")
