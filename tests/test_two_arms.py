"""Arms told apart by namespace and prefix, in one graph; and one whose driver has everything in a namespace."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
import yaml
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from varl_common.yaml_file import load_yaml
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.ros.ros_env import RosEnv

from .arm_watcher import ROOT, URDF

UP = np.array([0.0, 0.0, 0.5], dtype=np.float32)


def prefixed(urdf: str, prefix: str) -> str:
    """A description as a driver makes it that was told to put ``prefix`` before the names of joints and links."""
    return re.sub(r'(<(?:link|joint)[^>]* name|<(?:parent|child) link)="', rf'\1="{prefix}', urdf)


def bring_up(processes: Any, namespace: str, robot_file: Path, urdf: str, task: str) -> None:
    """A stand-in driver and an env node in ``namespace``."""
    description = robot_file.with_suffix(".urdf")
    description.write_text(urdf)
    words = ("--ros-args", "-r", f"__ns:=/{namespace}", "-p", f"robot_file:={robot_file}")
    files = ("-p", f"urdf_file:={description}", "-p", "rate:=250.0")
    processes.command("varl_robot_env", "standin_driver", *words, *files)
    task_file = ROOT / f"config/tasks/{task}.yaml"
    processes.command("varl_robot_env", "env", *words, "-p", f"task_file:={task_file}", "-p", "backend:=real")


def test_two_prefixed_arms_in_one_graph_are_strangers(
    processes: Any, ros: int, robot_values: dict[str, Any], tmp_path: Path
) -> None:
    envs: dict[str, RosEnv] = {}
    states: dict[str, list[JointState]] = {}
    for side in ("left", "right"):
        robot_file = tmp_path / f"{side}.yaml"
        robot_file.write_text(yaml.safe_dump(robot_values | {"prefix": f"{side}_"}))
        bring_up(processes, side, robot_file, prefixed(URDF.read_text(), f"{side}_"), "reach")
    listener = rclpy.create_node("listener")
    for side in ("left", "right"):
        states[side] = []
        topic = f"/{side}/joint_states"
        listener.create_subscription(JointState, topic, states[side].append, qos_profile_sensor_data)
        envs[side] = RosEnv(rclpy.create_node("client", namespace=side), timeout=60.0)
    left, right = envs["left"], envs["right"]
    assert left.description.base_frame == "left_base_link"
    before, _ = right.reset(seed=1)
    left.reset(seed=1)
    for _ in range(6):
        seen, _, _, _, info = left.step(UP)
        assert "stopped" not in info
    assert seen[2] > before[2] + 0.01
    after = right.step(np.zeros(3, dtype=np.float32))[0]
    np.testing.assert_allclose(after[:3], before[:3], atol=0.003)
    for side in ("left", "right"):
        while not any(state.name[0].startswith(f"{side}_shoulder") for state in states[side]):
            rclpy.spin_once(listener, timeout_sec=0.1)


def test_an_arm_whose_driver_lives_in_a_namespace_moves_by_its_shipped_file(
    processes: Any, ros: int, tmp_path: Path
) -> None:
    """SO-101 as nimiCurtis/so101_ros2 has it: all in /follower, joint states of the bridge."""
    shipped = ROOT / "config/robots/so101.yaml"
    values = load_yaml(shipped)
    values["safety"]["stale_after"] = 0.6  # a test machine is busy
    robot_file = tmp_path / "so101.yaml"
    robot_file.write_text(yaml.safe_dump(values))
    chains = load_yaml(ROOT / "src/varl_robot_env/test/safety/chains.yaml")["so101"]
    bring_up(processes, "follower", robot_file, chain(RobotConfig.from_yaml(shipped), chains), "reach_so101")
    env = RosEnv(rclpy.create_node("client", namespace="follower"), timeout=60.0)
    before, _ = env.reset(seed=1)
    np.testing.assert_allclose(before[:3], [0.22, 0.0, 0.05], atol=0.01)
    for _ in range(3):
        after, _, _, _, info = env.step(-UP)
        assert "stopped" not in info
    assert after[2] < before[2] - 0.005


def chain(robot: RobotConfig, joints: dict[str, list[float]]) -> str:
    """A URDF of bare frames: place, turn and, of a joint that moves, limits and speed."""
    parent, body = robot.base_frame, f'<link name="{robot.base_frame}"/>'
    for name, (x, y, z, roll, pitch, yaw, *limits) in joints.items():
        child = robot.tool_frame if name == "tool" else f"after_{name}"
        limit = ""
        if limits:
            bounds = f'lower="{limits[0]}" upper="{limits[1]}" velocity="{limits[2]}"'
            limit = f'<axis xyz="0 0 1"/><limit {bounds} effort="1"/>'
        body += (
            f'<link name="{child}"/><joint name="{name}" type="{"revolute" if limits else "fixed"}">'
            f'<parent link="{parent}"/><child link="{child}"/><origin xyz="{x} {y} {z}" rpy="{roll} {pitch} {yaw}"/>'
            f"{limit}</joint>"
        )
        parent = child
    return f'<robot name="{robot.name}">{body}</robot>'


pytestmark = pytest.mark.timeout(180)
