"""A second run on the same machine is shown, too."""

import socket

import pytest

pytest.importorskip("rclpy")
from varl_robot_env.ros.rerun_scene import free_port


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) > port
