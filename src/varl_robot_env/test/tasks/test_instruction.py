"""The task's sentence: true of what the camera sees."""

from pathlib import Path

import pytest
import yaml
from varl_common.errors import VarlError
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.tasks.instruction import instruction
from varl_robot_env.tasks.task import load_task

UNSEEN = "Nothing in the picture shows the target; the state says where it is."


@pytest.mark.parametrize(
    ("task", "backend", "looks", "sentence"),
    [
        ("push", "mujoco", {}, "Push the red block over the table to the green ball."),
        ("push", "mujoco", {"block": "the tin"}, "Push the red block over the table to the green ball."),
        ("push", "gazebo", {}, f"Push the block over the table to the target. {UNSEEN}"),
        ("push", "real", {}, f"Push the block over the table to the target. {UNSEEN}"),
        ("lift", "real", {"block": "the tin"}, f"Grasp the tin and lift it up to the target. {UNSEEN}"),
        ("reach", "real", {"target": "the cross"}, "Move the gripper's fingertips to the cross."),
    ],
)
def test_things_are_called_by_their_looks(task: str, backend: str, looks: dict[str, str], sentence: str) -> None:
    robot = RobotConfig.from_yaml(config_file("robots", "varl_arm"), appearance=looks)
    assert instruction(load_task(config_file("tasks", task)).config, robot, backend) == sentence


def test_another_name_in_braces_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    values = yaml.safe_load(config_file("tasks", "reach").read_text())
    path.write_text(yaml.safe_dump(values | {"instruction": "Go to {goal}."}))
    with pytest.raises(VarlError, match=r"only names in braces are \{block\} and \{target\}"):
        load_task(path)


def test_a_slip_of_the_pen_in_the_looks_is_told() -> None:
    robot = RobotConfig.from_yaml(config_file("robots", "varl_arm"), appearance={"blok": "the tin", "cup": "the cup"})
    with pytest.raises(VarlError, match="appearance has 'blok', the task has 'block'"):
        instruction(load_task(config_file("tasks", "push")).config, robot, "real")
