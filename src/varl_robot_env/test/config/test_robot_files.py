"""Every robot's file loads, hangs together, and says where its facts come from."""

import re
from pathlib import Path

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_common.yaml_file import load_yaml
from varl_robot_env.config.driver import ARM_COMMANDS, GRIPPER_COMMANDS, FaultConfig
from varl_robot_env.config.paths import config_folder
from varl_robot_env.config.robot import RobotConfig

FILES = sorted((config_folder() / "robots").glob("*.yaml"))
VENDORS = ["fr3", "gen3", "so101", "ur5e", "xarm6"]

# From the vendors' URDFs (the files named in each YAML): lower and upper limits, rad, and speeds, rad/s.
TURN = 2 * np.pi
LIMITS = {
    "ur5e": ([(-TURN, TURN), (-TURN, TURN), (-np.pi, np.pi), *[(-TURN, TURN)] * 3], [np.pi] * 6),
    "fr3": (
        [
            (-2.7437, 2.7437),
            (-1.7837, 1.7837),
            (-2.9007, 2.9007),
            (-3.0421, -0.1518),
            (-2.8065, 2.8065),
            (0.5445, 4.5169),
            (-3.0159, 3.0159),
        ],
        [2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26],
    ),
    "xarm6": (
        [(-TURN, TURN), (-2.059, 2.0944), (-3.927, 0.19198), (-TURN, TURN), (-1.69297, np.pi), (-TURN, TURN)],
        [2.14] * 6,
    ),
    "gen3": (
        [(-TURN, TURN), (-2.24, 2.24), (-TURN, TURN), (-2.57, 2.57), (-TURN, TURN), (-2.09, 2.09), (-TURN, TURN)],
        [0.8727] * 7,
    ),
    "so101": (
        [(-1.91986, 1.91986), (-1.74533, 1.74533), (-1.69, 1.69), (-1.65806, 1.65806), (-2.74385, 2.84121)],
        [4.0] * 5,
    ),
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_loads_and_hangs_together(path: Path) -> None:
    robot = RobotConfig.from_yaml(path)
    assert robot.name == path.stem
    assert len(set(robot.joints)) == len(robot.joints)
    # 0.25 m/s is the reduced speed of ISO 10218-1
    assert robot.action_scale / robot.control_period <= 0.25 + 1e-9
    assert robot.safety.leash >= robot.action_scale, "else no action is ever carried out in full"
    assert robot.safety.stale_after >= robot.control_period
    assert robot.arm_command.startswith(robot.arm_controller)
    assert robot.gripper is None or robot.gripper.command_name
    for camera in robot.cameras:
        assert camera.info_topic.rpartition("/")[0] == camera.image_topic.rpartition("/")[0]


@pytest.mark.parametrize("name", VENDORS)
def test_home_and_speeds_are_within_the_vendors_limits(name: str) -> None:
    robot = RobotConfig.from_yaml(config_folder() / "robots" / f"{name}.yaml")
    limits, speeds = LIMITS[name]
    low, high = np.array(limits).T
    assert (np.array(robot.home) > low + robot.safety.joint_margin).all()
    assert (np.array(robot.home) < high - robot.safety.joint_margin).all()
    assert (np.array(robot.safety.joint_speed) <= speeds).all()
    assert robot.safety.joint_acceleration is not None


@pytest.mark.parametrize("name", VENDORS)
def test_sources_are_cited(name: str) -> None:
    head = (config_folder() / "robots" / f"{name}.yaml").read_text(encoding="utf-8").split("\nname:")[0]
    assert re.search(r"#   [\w-]+/[\w-]+", head), "the repositories and files that the facts were read in"


IMPOSSIBLE = [
    ({"driver": {"observation_lead": 0.05}}, "observation_lead of 0.05 s is not below the control_period of 0.05 s"),
    ({"gripper": {"open": 0.02, "closed": 0.02}}, "open and closed are both 0.02"),
    ({"joints": ["joint1", "joint2", "joint3", "joint4", "joint5", "joint1"]}, "joint1 is named twice"),
    ({"safety": {"leash": 0.001}}, "leash of 0.001 m is below the action_scale"),
    ({"safety": {"joint_acceleration": None}}, "joint_acceleration"),
]


@pytest.mark.parametrize(("changes", "words"), IMPOSSIBLE)
def test_settings_that_cannot_be_are_refused_at_the_start(changes: dict, words: str) -> None:
    values = load_yaml(config_folder() / "robots" / "varl_arm.yaml") | {"source": "robot.yaml"}
    values.setdefault("driver", {})
    for name, change in changes.items():
        values[name] = values[name] | change if isinstance(change, dict) else change
    with pytest.raises(VarlError, match=words):
        RobotConfig.from_dict(values, "robot.yaml")


def test_every_interface_has_a_usual_command_name() -> None:
    assert all("{}" in template for template in (*ARM_COMMANDS.values(), *GRIPPER_COMMANDS.values()))


def test_a_vendors_urdf_comes_from_its_driver() -> None:
    robot = RobotConfig.from_yaml(config_folder() / "robots" / "fr3.yaml")
    with pytest.raises(VarlError, match="start the robot's driver"):
        robot.urdf_text()
    assert robot.model_copy(update={"urdf": "<robot/>"}).urdf_text() == "<robot/>"


@pytest.mark.parametrize(
    ("rule", "value", "good"),
    [
        ({"good": [1, 2]}, 2, True),
        ({"good": [1, 2]}, 3, False),
        ({"above": 1.0}, 0.0, False),
        ({"above": 1.0}, 80, True),
    ],
)
def test_a_fault_is_any_value_that_is_not_good(rule: dict, value: float, good: bool) -> None:
    class Inner:
        mode = value

    class Message:
        state = Inner

    fault = FaultConfig(topic="a", type="p/msg/M", field="state.mode", meaning="m", **rule)
    assert fault.is_good(fault.value(Message)) is good


@pytest.mark.parametrize("rule", [{}, {"good": [1], "above": 0.0}])
def test_a_fault_has_one_rule(rule: dict) -> None:
    with pytest.raises(VarlError, match="either good"):
        FaultConfig.from_dict({"topic": "a", "type": "p/msg/M", "meaning": "m"} | rule, "robot.yaml")
