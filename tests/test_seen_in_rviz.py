"""What RViz is sent during a training: the newest state, and the advice as arrows beside what was done."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from varl_common.ros.qos import LATCHED
from varl_robot_env.config.paths import config_file
from visualization_msgs.msg import MarkerArray

from varl_interfaces.msg import Advised


def test_advice_is_drawn_while_the_arm_goes_on_and_every_node_says_how_it_is(
    processes: Any, ros: int, tmp_path: Path
) -> None:
    processes.robot()
    processes.advisor()
    processes.node("varl_robot_env", "markers", robot_file=config_file("robots", "varl_arm"))
    learner = processes.learner(tmp_path / "run", 100_000, advisor="scripted")
    node = rclpy.create_node("rviz")
    advice: list[Advised] = []
    pictures: list[MarkerArray] = []
    node.create_subscription(Advised, "/learner/advice", advice.append, LATCHED)
    node.create_subscription(MarkerArray, "/markers", pictures.append, 10)
    health: dict[str, DiagnosticStatus] = {}
    node.create_subscription(
        DiagnosticArray, "/diagnostics", lambda array: health.update({s.name: s for s in array.status}), 10
    )

    def drawn() -> set[str]:
        return {marker.ns for marker in pictures[-1].markers} if pictures else set()

    deadline = time.monotonic() + 90
    while "advised" not in drawn():
        assert time.monotonic() < deadline, learner.output
        rclpy.spin_once(node, timeout_sec=0.1)
    assert drawn() >= {"workspace", "goal", "asked action", "executed action", "executed then", "status"}
    shown = advice[-1]
    assert shown.header.frame_id == "base_link"
    assert "scripted" in shown.advisor
    assert 0 < len(shown.tools) == len(shown.advised) == len(shown.executed) <= 16
    lengths = [np.abs([motion.x, motion.y, motion.z]).max() for motion in shown.advised]
    assert 0.0 < max(lengths) <= 0.0125 + 1e-9, "metres of one control period"
    nodes = {"/simulator": "simulation", "/env": "safety", "/advisor": "advice", "/learner": "training"}
    expected = {f"{name}: {what}" for name, what in {**nodes, "/markers": "pictures"}.items()}

    def all_well() -> bool:
        return set(health) >= expected and {health[name].level for name in expected} == {DiagnosticStatus.OK}

    def steps_told() -> int:
        """Of the learner's newest diagnostics: the first go out before its first step."""
        return int({value.key: value.value for value in health["/learner: training"].values}["step"])

    while not (all_well() and steps_told() > 0):
        assert time.monotonic() < deadline, {name: status.message for name, status in health.items()}
        rclpy.spin_once(node, timeout_sec=0.1)
