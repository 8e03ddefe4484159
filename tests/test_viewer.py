"""A run in Rerun, written to a file: nobody needs to look for it to be seen."""

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
rerun = pytest.importorskip("rerun", reason="rerun-sdk is not installed")

from varl_robot_env.ros.ros_env import RosEnv  # noqa: E402

CONFIG = Path(__file__).parents[1] / "config"


def test_arm_workspace_actions_and_safety_are_in_the_file(processes: Any, tmp_path: Path) -> None:
    file = tmp_path / "view/run.rrd"
    viewer = processes.node("varl_robot_env", "viewer", robot_file=CONFIG / "robots/varl_arm.yaml", sink=file)
    processes.robot()
    rclpy.init()
    node = rclpy.create_node("tester")
    env = RosEnv(node, capture=True)
    while not node.get_subscriptions_info_by_topic("env/status"):
        rclpy.spin_once(node, timeout_sec=0.2)
        assert viewer.process.poll() is None, viewer.output
    env.reset(seed=0)
    for _ in range(10):
        env.step(np.array([1.0, 1.0, 1.0], np.float32))
    rclpy.try_shutdown()
    viewer.signal(signal.SIGINT)
    assert viewer.wait(60) == 0, viewer.output
    rows = entities(file)
    assert rows["/world/workspace"] >= 1
    assert rows["/world/executed_action"] >= 1
    assert rows["/safety/workspace"] + rows["/safety/stopped"] >= 1
    assert any(name.startswith("/arm/") for name in rows)
    assert sum(rows[name] for name in rows if name.startswith("/joints/")) >= 10
    assert rows["/cameras/camera"] >= 1


def entities(file: Path) -> Counter[str]:
    """How many rows each entity has in a recording."""
    from rerun.chunk import RrdReader

    found: Counter[str] = Counter()
    for chunk in RrdReader(file).stream():
        found[str(chunk.entity_path)] += chunk.num_rows
    return found
