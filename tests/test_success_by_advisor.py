"""Success that an advisor sees, over ROS 2: it is asked once, as an episode ends, and no answer is no success."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not sourced")

from varl_common.errors import VarlError  # noqa: E402
from varl_common.task_plans import PLANS  # noqa: E402
from varl_common.yaml_file import load_yaml  # noqa: E402
from varl_robot_env.config.paths import config_file  # noqa: E402
from varl_robot_env.env.arm_env import ArmEnv  # noqa: E402
from varl_robot_env.ros.ros_env import RosEnv  # noqa: E402
from varl_robot_env.tasks.task import load_task  # noqa: E402

STEPS = 30


def task(tmp_path: Path, success: dict[str, Any]) -> Path:
    file = tmp_path / "judged.yaml"
    changed = {"success": success, "max_episode_steps": STEPS}
    file.write_text(yaml.safe_dump(load_yaml(config_file("tasks", "reach")) | changed, sort_keys=False))
    return file


def episode(env: Any, by_plan: bool) -> list[tuple[bool, bool]]:
    """Whether each step terminated or truncated it, and the sum of its rewards."""
    state, _ = env.reset(seed=1)
    ends = []
    for _ in range(STEPS):
        action = PLANS["reach"].actions(state[None], env.description)[0] if by_plan else np.zeros(3, np.float32)
        state, reward, terminated, truncated, info = env.step(action)
        assert (reward == 1.0) == terminated == info["is_success"]
        ends.append((terminated, truncated))
    return ends


def test_an_advisor_is_asked_once_at_the_end_and_its_absence_is_told_once(processes: Any, tmp_path: Path) -> None:
    files: Any = {
        "robot_file": config_file("robots", "varl_arm"),
        "task_file": task(tmp_path, {"vlm": True}),
    }
    processes.node("varl_robot_env", "simulator", ("simulator.yaml",), **files, lock_step=True)
    env_node = processes.node("varl_robot_env", "env", **files)
    given = {"scripted.error_rate": 0.0, "run_dir": tmp_path}
    advisor = processes.node("varl_vlm_advisor", "advisor", ("advisor.yaml",), backend="scripted", **given)
    rclpy.init()
    env = RosEnv(rclpy.create_node("tester"))
    running = [(False, False)] * (STEPS - 1)
    assert episode(env, by_plan=True) == [*running, (True, False)]
    assert episode(env, by_plan=False) == [*running, (False, True)]
    assert "without a verdict" not in env_node.output
    assert '"calls": 2' in (tmp_path / "advisor_spending.json").read_text()
    advisor.process.kill()
    advisor.process.wait()
    for _ in range(2):
        assert episode(env, by_plan=True) == [*running, (False, True)]
    assert env_node.output.count("An episode without a verdict counts as no success") == 1
    rclpy.try_shutdown()


def test_without_an_advisor_node_the_task_does_not_begin(processes: Any, tmp_path: Path) -> None:
    files: Any = {"robot_file": config_file("robots", "varl_arm"), "task_file": task(tmp_path, {"vlm": True})}
    processes.node("varl_robot_env", "simulator", ("simulator.yaml",), **files, lock_step=True)
    processes.node("varl_robot_env", "env", **files)
    rclpy.init()
    with pytest.raises(VarlError, match="asks /advisor/judge, which is not there; start the advisor node"):
        RosEnv(rclpy.create_node("tester"), timeout=15.0)
    rclpy.try_shutdown()


def test_in_one_process_there_is_nobody_to_ask(tmp_path: Path) -> None:
    with pytest.raises(VarlError, match="asks an advisor whether it is done, and none is here; run it over ROS 2"):
        ArmEnv(str(task(tmp_path, {"vlm": True})))


@pytest.mark.parametrize(
    ("success", "words"),
    [
        ({"vlm": True, "held": 3}, "asked once, at an episode's end"),
        ({"not": {"vlm": True}}, "an advisor that does not answer would be a success"),
        ({"vlm": False}, "vlm"),
    ],
)
def test_what_no_advisor_can_say_is_refused(tmp_path: Path, success: dict[str, Any], words: str) -> None:
    with pytest.raises(VarlError, match=words):
        load_task(task(tmp_path, success))
