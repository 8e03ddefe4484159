"""What a person's joystick asks for, and when it counts as held."""

from typing import Any

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_common.yaml_file import load_yaml
from varl_robot_env.config.paths import config_file, config_folder
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.env.env_core import EnvCore
from varl_robot_env.ros.joystick import Joystick, JoystickConfig
from varl_robot_env.simulation.simulated_arm import SimulatedArm
from varl_robot_env.simulation.world import SimulatorConfig
from varl_robot_env.tasks.task import load_task

FILES = sorted((config_folder() / "joystick").glob("*.yaml"))


def values(name: str) -> dict[str, Any]:
    file = load_yaml(config_folder() / "joystick" / f"{name}.yaml")
    return dict(file["/**/env"]["ros__parameters"]["joystick"])


CONFIG = JoystickConfig.from_dict(values("gamepad"), "gamepad")
POLICY = [0.3, 0.2, 0.1, 0.7]
AXES = ["dx", "dy", "dz", "gripper"]


def pressed(*buttons: int) -> list[int]:
    return [int(number in buttons) for number in range(16)]


def sticks(ahead: float = 0.0, left: float = 0.0, up: float = 0.0) -> list[float]:
    return [left, ahead, 0.0, up, 0.0, 0.0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_files_are_whole(path: Any) -> None:
    config = JoystickConfig.from_dict(values(path.stem), path.stem)
    buttons = [b for b in (config.deadman, config.close, config.open, config.success) if b >= 0]
    assert len(set(buttons)) == len(buttons), "a button means one thing"
    assert len(set(config.axes)) == 3


def test_a_wrong_file_is_refused_by_name() -> None:
    with pytest.raises(VarlError, match="axes"):
        JoystickConfig.from_dict(values("gamepad") | {"axes": [0, 1]}, "mine")
    with pytest.raises(VarlError, match="did you mean 'deadman'"):
        JoystickConfig.from_dict(values("gamepad") | {"dedman": 1}, "mine")


def test_the_person_acts_while_the_deadman_is_held_and_no_longer() -> None:
    joystick = Joystick(CONFIG, AXES[:3])
    assert joystick.action(POLICY[:3]) == POLICY[:3]
    joystick.hear(sticks(ahead=1.0, left=-1.0), pressed(), 0.0)
    assert joystick.action(POLICY[:3]) == POLICY[:3], "pushed, but not held"
    joystick.hear(sticks(ahead=1.0, left=-0.55, up=0.05), pressed(CONFIG.deadman), 0.1)
    np.testing.assert_allclose(joystick.action(POLICY[:3]), [1.0, -0.5, 0.0])
    joystick.hear(sticks(), pressed(CONFIG.deadman), 0.2)
    assert joystick.action(POLICY[:3]) == [0.0, 0.0, 0.0], "held still"
    joystick.hear(sticks(ahead=1.0), pressed(), 0.3)
    assert joystick.action(POLICY[:3]) == POLICY[:3]


def test_the_gripper_keeps_what_it_was_told_until_a_button_says_otherwise() -> None:
    joystick = Joystick(CONFIG, AXES)
    joystick.action(POLICY)
    joystick.hear(sticks(), pressed(CONFIG.deadman), 0.0)
    assert joystick.action([0.0, 0.0, 0.0, -1.0])[3] == 0.7, "the policy's last one: nothing is dropped"
    for button, command in ((CONFIG.close, 1.0), (CONFIG.open, -1.0)):
        joystick.hear(sticks(), pressed(CONFIG.deadman, button), 0.1)
        joystick.hear(sticks(), pressed(CONFIG.deadman), 0.2)
        assert joystick.action(POLICY)[3] == command


def test_silence_while_held_is_noticed_once_and_lets_go() -> None:
    joystick = Joystick(CONFIG, AXES[:3])
    joystick.hear(sticks(ahead=1.0), pressed(), 0.0)
    assert not joystick.lost(99.0), "nobody held it"
    joystick.hear(sticks(ahead=1.0), pressed(CONFIG.deadman), 100.0)
    assert not joystick.lost(100.0 + CONFIG.stale_after)
    assert joystick.lost(100.1 + CONFIG.stale_after)
    assert joystick.action(POLICY[:3]) == POLICY[:3]
    assert not joystick.lost(200.0)


def test_a_button_that_a_message_leaves_out_stays_as_it_was() -> None:
    """spacenav tells of a button in the message of its change alone."""
    config = JoystickConfig.from_dict(values("spacemouse"), "spacemouse")
    joystick = Joystick(config, AXES[:3])
    joystick.hear([0.0] * 6, [1], 0.0)
    joystick.hear([0.0, 0.0, 0.5, 0.0, 0.0, 0.0], [], 0.1)
    assert joystick.held
    assert joystick.action(POLICY[:3])[2] > 0.5
    joystick.hear([0.0] * 6, [0], 0.2)
    assert not joystick.held


def test_success_is_told_as_the_button_goes_down() -> None:
    joystick = Joystick(CONFIG, AXES[:3])
    heard = [joystick.hear(sticks(), pressed(*buttons), 0.0) for buttons in ((), (3,), (3,), (), (3, 10), (2, 3))]
    assert heard == ["", "success", "", "", "success", "veto"]


@pytest.mark.parametrize("axes", [[0.0, 1.0], [np.nan] * 6])
def test_a_joystick_that_makes_no_sense_holds_nothing(axes: list[float]) -> None:
    joystick = Joystick(CONFIG, AXES[:3])
    joystick.hear(sticks(), pressed(CONFIG.deadman), 0.0)
    with pytest.raises(ValueError, match="axes"):
        joystick.hear(axes, pressed(CONFIG.deadman), 0.0)
    assert joystick.action(POLICY[:3]) == POLICY[:3]


@pytest.fixture
def core() -> EnvCore:
    robot = RobotConfig.from_yaml(config_file("robots", "varl_arm"))
    task = load_task(config_file("tasks", "reach"), success={"person": True}, max_episode_steps=9)
    simulator = SimulatorConfig.from_yaml(config_folder() / "simulator.yaml")
    return EnvCore(task, robot, SimulatedArm(robot, simulator, task.config.things), "mujoco")


def test_a_person_judges_where_the_task_says_so(core: EnvCore) -> None:
    core.mark_success()
    core.reset(seed=0)
    result = core.step([0.0, 0.0, 0.0])
    assert (result.reward, result.terminated) == (0.0, False), "a mark for the episode before is not for this one"
    core.mark_success()
    result = core.step([0.0, 0.0, 0.0])
    assert (result.reward, result.terminated, result.truncated, result.is_success) == (1.0, True, False, True)
    core.reset()
    ends = [core.step([0.0, 0.0, 0.0]).truncated for _ in range(9)]
    assert ends == [False] * 8 + [True], "the overridden length"


def test_a_stick_turns_the_tool_where_the_task_does() -> None:
    stick = [0.0, 1.0, -1.0, 0.0, 0.0, 0.0]  # left stick ahead, right stick to the right
    by_yaw = Joystick(CONFIG, ["dx", "dy", "dz", "yaw", "gripper"])
    by_yaw.action([0.0, 0.0, 0.0, 0.0, 1.0])
    by_yaw.hear(stick, pressed(CONFIG.deadman), 0.0)
    assert by_yaw.action([0.0] * 5) == [1.0, 0.0, 0.0, -1.0, 1.0]
    mouse = JoystickConfig.from_dict(values("spacemouse"), "spacemouse")
    whole = Joystick(mouse, ["dx", "dy", "dz", "rx", "ry", "rz"])
    whole.hear([0.0, 0.0, 0.0, 0.7, -0.7, 0.0], [1, 0], 0.0)
    np.testing.assert_allclose(whole.action([0.0] * 6), [0, 0, 0, 1, -1, 0], atol=1e-6)
