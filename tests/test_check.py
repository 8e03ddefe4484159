"""Before an arm trains: is it ready, and where may it work?"""

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not sourced")

from sensor_msgs.msg import JointState  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402
from varl_common.yaml_file import load_yaml  # noqa: E402
from varl_robot_env.config.robot import RobotConfig  # noqa: E402
from varl_robot_env.kinematics.kinematics import Kinematics  # noqa: E402

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config"
TASKS = CONFIG / "tasks"


@pytest.fixture
def robot_file(processes: Any, robot_values: dict[str, Any], tmp_path: Path) -> Path:
    """A UR5e's, whose stand-in drives."""
    urdf = ROOT / "src/varl_robot_env/urdf/standin_ur5e.urdf"
    file = tmp_path / "ur5e.yaml"
    file.write_text(yaml.safe_dump(robot_values))
    processes.node(
        "varl_robot_env", "standin_driver", robot_file=CONFIG / "robots/ur5e.yaml", urdf_file=urdf, rate=250.0
    )
    return file


def test_an_arm_that_is_ready_is_green_and_what_nobody_needs_is_told(processes: Any, robot_file: Path) -> None:
    check = processes.node("varl_robot_env", "check", robot_file=robot_file, task_file=TASKS / "reach.yaml")
    assert check.wait(60) == 0, check.output
    assert "✗" not in check.output
    assert "✓ joint state of elbow_joint" in check.output
    assert "✓ force at the tool" in check.output
    assert "all 125 places reached" in check.output
    assert "! camera camera" in check.output
    assert "\x1b" not in check.output, "no colours where it is no terminal"


def test_what_the_task_must_see_is_red_with_the_remedy(processes: Any, robot_file: Path) -> None:
    check = processes.node(
        "varl_robot_env", "check", robot_file=robot_file, task_file=TASKS / "push.yaml", patience=3.0
    )
    assert check.wait(60) == 2
    (red,) = [line for line in check.output.splitlines() if "✗" in line]
    assert red.split("✗ ")[1].startswith("sight of block")
    assert "perception must see block" in red
    assert "1 of 1" in check.output, "checks are red"


def test_training_on_an_arm_that_is_not_there_does_not_begin(domain: int, tmp_path: Path) -> None:
    impatient = tmp_path / "impatient.yaml"
    impatient.write_text("/**/check:\n  ros__parameters:\n    patience: 1.0\n")
    words = ["varl", "train_real", "robot:=ur5e", "run_dir:=run", f"params_file:={impatient}"]
    done = subprocess.run(
        words, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 2
    assert "✗ arm" in done.stdout
    assert "checks are red" in done.stdout
    assert not (tmp_path / "run").exists()
    assert "learner" not in done.stdout


def test_corners_become_the_workspace(processes: Any, ros: int, tmp_path: Path) -> None:
    source, out = CONFIG / "robots/varl_arm.yaml", tmp_path / "mine.yaml"
    robot = RobotConfig.from_yaml(source)
    kinematics = Kinematics(robot.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame)
    home = np.array(robot.home)
    _, rotation = kinematics.forward(home)
    processes.node("varl_robot_env", "find_limits", robot_file=source, out=out)
    node = rclpy.create_node("hand")
    joints = node.create_publisher(JointState, robot.driver.joint_states, 10)
    message = JointState(name=list(robot.joints))

    def call(name: str) -> Trigger.Response:
        client = node.create_client(Trigger, f"find_limits/{name}")
        assert client.wait_for_service(60.0)
        future = client.call_async(Trigger.Request())
        rclpy.spin_until_future_complete(node, future, timeout_sec=30.0)
        return future.result()

    def corner(place: list[float]) -> Trigger.Response:
        found, miss = kinematics.inverse(np.array(place), rotation, home, home)
        assert miss < 1e-3
        message.position = found.tolist()
        expected = ", ".join(f"{value:.3f}" for value in place)
        for _ in range(100):  # until it has arrived there
            joints.publish(message)
            answer = call("corner")
            if answer.success and f"at [{expected}] m" in answer.message:
                return answer
        pytest.fail(answer.message)

    assert not call("write").success
    corner([0.32, -0.12, 0.05])
    thin = call("write")
    assert not thin.success
    assert "expected 0.02 m or more" in thin.message
    corner([0.50, 0.10, 0.30])
    written = call("write")
    assert written.success, written.message
    assert "all 125 places reached" in written.message
    mine = RobotConfig.from_yaml(out)
    assert mine.safety.workspace_low == (0.32, -0.12, 0.05)
    assert mine.safety.workspace_high == (0.5, 0.1, 0.3)
    before, after = load_yaml(source), load_yaml(out)
    for values in (before, after):
        values["safety"] = {k: v for k, v in values["safety"].items() if not k.startswith("workspace")}
    assert before == after
    changed = set(out.read_text().splitlines()) - set(source.read_text().splitlines())
    assert len(changed) == 2, "every remark stays"
    node.destroy_node()
