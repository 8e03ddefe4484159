"""Success that a classifier sees, over ROS 2: it ends episodes, and a person who takes it back is believed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("transformers")
rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not sourced")

from std_srvs.srv import Trigger  # noqa: E402
from varl_common.errors import VarlError  # noqa: E402
from varl_common.vision.classifier import Heads, SuccessClassifier, write  # noqa: E402
from varl_common.vision.tower import Tower  # noqa: E402
from varl_common.yaml_file import load_yaml  # noqa: E402
from varl_robot_env.config.paths import config_file  # noqa: E402
from varl_robot_env.config.robot import RobotConfig  # noqa: E402
from varl_robot_env.env.arm_env import ArmEnv  # noqa: E402
from varl_robot_env.env.view import views  # noqa: E402
from varl_robot_env.ros.ros_env import RosEnv  # noqa: E402
from varl_robot_env.success.moments import Label, Layout, read  # noqa: E402

STILL = np.zeros(3, np.float32)
VIEWS = views("pixels", RobotConfig.from_yaml(config_file("robots", "varl_arm")))
LAYOUT = Layout("reach", list(VIEWS), 128, [list(view.crop) for view in VIEWS.values()])


def classifier(folder: Path, sure: float, **other: Any) -> Path:
    """One that is ``sure`` of success, whatever it sees."""
    tower = Tower("varl-sight", 1)
    heads = Heads(128, len(LAYOUT.cameras), 1)
    verdict: Any = heads.get_submodule("members.0.judge.2")
    verdict.weight.data.zero_()
    verdict.bias.data.fill_(sure)
    shown = {"tower": "varl-sight", "layers": 1, "fingerprint": tower.fingerprint, "members": 1, "threshold": 0.7}
    write(folder, heads, asdict(LAYOUT) | shown | other)
    return folder


def task(tmp_path: Path, success: dict[str, Any]) -> Path:
    file = tmp_path / "seen.yaml"
    file.write_text(yaml.safe_dump(load_yaml(config_file("tasks", "reach")) | {"success": success}, sort_keys=False))
    return file


def test_a_classifier_ends_episodes_and_a_person_takes_its_success_back(processes: Any, tmp_path: Path) -> None:
    classifier(tmp_path / "sure", 5.0)
    moments = tmp_path / "moments"
    files: Any = {
        "robot_file": config_file("robots", "varl_arm"),
        "task_file": task(tmp_path, {"classifier": "sure", "held": 3}),
    }
    processes.node("varl_robot_env", "simulator", ("simulator.yaml",), **files, lock_step=True)
    processes.node("varl_robot_env", "env", **files, moments=moments)
    rclpy.init()
    node = rclpy.create_node("tester")
    env = RosEnv(node)
    assert env.description.picture_cameras == [], "the policy sees the state"

    def veto() -> None:
        client = node.create_client(Trigger, "env/veto")
        assert client.wait_for_service(20.0)
        future = client.call_async(Trigger.Request())
        rclpy.spin_until_future_complete(node, future, timeout_sec=20.0)
        assert future.result().success

    _, info = env.reset(seed=0)
    assert "void_steps" not in info
    ended = [env.step(STILL)[2] for _ in range(3)]
    assert ended == [False, False, True]
    veto()
    _, info = env.reset()
    assert info["void_steps"] == 1, "the learner forgets the step that was no success"
    env.step(STILL)
    veto()
    assert not any(env.step(STILL)[2] for _ in range(5)), "nothing ends an episode whose success was taken back"
    env.reset()
    assert [env.step(STILL)[2] for _ in range(3)] == [False, False, True]
    assert "void_steps" not in env.reset()[1]
    rows = read(moments)
    assert rows["label"].tolist() == [Label.FAILURE, Label.FAILURE]
    assert rows["by_person"].all()
    assert rows["pictures"].std() > 1.0, "something is to be seen"
    rclpy.try_shutdown()


@pytest.mark.parametrize(("sure", "ends"), [(5.0, "by the classifier"), (0.5, "by a person")])
def test_a_classifier_or_a_person_ends_an_episode_of_the_task_that_ships(
    processes: Any, tmp_path: Path, sure: float, ends: str
) -> None:
    """push-seen as it is, with a classifier of its beside it."""
    classifier(tmp_path / "classifiers/push", sure, task="push")
    task_file = tmp_path / "push-seen.yaml"
    task_file.write_text(config_file("tasks", "push-seen").read_text())
    files: Any = {"robot_file": config_file("robots", "varl_arm"), "task_file": task_file}
    processes.node("varl_robot_env", "simulator", ("simulator.yaml",), **files, lock_step=True)
    processes.node("varl_robot_env", "env", **files)
    rclpy.init()
    node = rclpy.create_node("tester")
    env = RosEnv(node)
    env.reset(seed=0)
    ended = [env.step(STILL)[2] for _ in range(3)]
    assert ended == [False, False, ends == "by the classifier"], "it counts once it has held for three periods"
    if ends == "by a person":
        client = node.create_client(Trigger, "env/success")
        assert client.wait_for_service(20.0)
        rclpy.spin_until_future_complete(node, client.call_async(Trigger.Request()), timeout_sec=20.0)
        assert env.step(STILL)[1:3] == (1.0, True)
    rclpy.try_shutdown()


def test_one_that_is_not_sure_enough_ends_nothing(tmp_path: Path) -> None:
    classifier(tmp_path / "unsure", 0.5)  # 0.62, below its threshold
    env = ArmEnv(str(task(tmp_path, {"classifier": "unsure"})))
    if env.arm.simulation.camera.render(env.arm.simulation.data) is None:
        pytest.skip(str(env.arm.simulation.camera.error))
    env.reset(seed=0)
    assert not any(env.step(STILL)[2] for _ in range(3))
    env.close()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"cameras": ["front", "side_camera"]}, "front by crop .* the robot's file gives no view"),
        ({"side": 96}, "side 96, and the robot's file has .* side 128; make them alike"),
        ({"fingerprint": 1}, "other weights of varl-sight; train it again"),
    ],
)
def test_one_that_looks_at_other_pictures_is_refused(tmp_path: Path, other: dict[str, Any], words: str) -> None:
    classifier(tmp_path / "other", 5.0, **other)
    with pytest.raises(VarlError, match=words):
        ArmEnv(str(task(tmp_path, {"classifier": "other"})))


def test_one_that_is_not_there_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(VarlError, match="varl train-classifier writes such a folder"):
        SuccessClassifier(tmp_path)
