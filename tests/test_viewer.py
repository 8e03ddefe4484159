"""A run in Rerun: what is in its file, and what a browser shows of it."""

import re
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
rerun = pytest.importorskip("rerun", reason="rerun-sdk is not installed")

from varl_robot_env.ros.ros_env import RosEnv  # noqa: E402

from .browser import CHROMIUM, Browser  # noqa: E402

CONFIG = Path(__file__).parents[1] / "config"


TEAL = [24, 137, 142]  # of the caps of varl_arm's joints, lit
NEAR = 12  # of 255: by the light


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


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt install chromium)")
@pytest.mark.timeout(300)
def test_a_browser_shows_the_arm(processes: Any, tmp_path: Path) -> None:
    viewer = processes.node("varl_robot_env", "viewer", robot_file=CONFIG / "robots/varl_arm.yaml", sink="web")
    processes.robot()
    rclpy.init()
    env = RosEnv(rclpy.create_node("tester"))
    env.reset(seed=0)
    while not (address := re.search(r"http://\S+", viewer.output)):
        env.step(np.zeros(3, np.float32))
        assert viewer.process.poll() is None, viewer.output
    browser, deadline = Browser(tmp_path), time.monotonic() + 200
    try:
        browser.open(address[0])
        caps = 0
        while caps < 1000:
            assert time.monotonic() < deadline, f"{caps} pixels of the arm's caps are seen"
            env.step(np.zeros(3, np.float32))
            time.sleep(0.5)  # the page is drawn on the same processors
            seen = browser.picture()
            in_space = seen[: seen.shape[0] // 2, : seen.shape[1] // 2].astype(int)  # beside it are pictures and curves
            caps = int((np.abs(in_space - TEAL).max(axis=-1) < NEAR).sum())
    finally:
        browser.close()
        rclpy.try_shutdown()


def entities(file: Path) -> Counter[str]:
    """How many rows each entity has in a recording."""
    from rerun.chunk import RrdReader

    found: Counter[str] = Counter()
    for chunk in RrdReader(file).stream():
        found[str(chunk.entity_path)] += chunk.num_rows
    return found
