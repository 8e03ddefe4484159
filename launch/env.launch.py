"""The robot alone, for an algorithm of yours: `ros2 launch varl_bringup env.launch.py --show-args` lists arguments."""

from launch import LaunchDescription
from varl_bringup.launch_description import describe


def generate_launch_description() -> LaunchDescription:
    return describe("env")
