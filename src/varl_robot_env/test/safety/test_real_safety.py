"""The rules that a real arm adds: bounded accelerations with room to brake, watchdogs, a checked way home."""

from pathlib import Path

import numpy as np
import pytest
from varl_robot_env.arm import ArmError
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.safety.braking import Braking
from varl_robot_env.safety.homing import way_home
from varl_robot_env.safety.safety_filter import RefusedAction, SafetyFilter
from varl_robot_env.types import Array

URDF = Path(__file__).parents[2] / "urdf" / "standin_ur5e.urdf"
UR5E = RobotConfig.from_yaml(config_file("robots", "ur5e")).model_copy(update={"urdf": URDF.read_text()})
KINEMATICS = Kinematics(UR5E.urdf_text(), UR5E.joints, UR5E.base_frame, UR5E.tool_frame)


def test_braking_keeps_acceleration_and_walls_whatever_is_asked() -> None:
    rng = np.random.default_rng(0)
    braking = Braking(np.array([2.0, 1.0]), 0.1, lambda joints: bool((np.abs(joints) <= 1.0).all()))
    joints, before = np.zeros(2), np.zeros(2)
    farthest = 0.0
    for _ in range(3000):
        goal = joints + rng.choice([-1.0, 1.0], 2) * rng.uniform(0, 0.5, 2)
        after = braking.toward(joints, goal)
        step = after - joints
        assert (np.abs(step - before) <= np.array([0.02, 0.01]) + 1e-12).all()
        assert (np.abs(after) <= 1.0 + 1e-12).all()
        joints, before, farthest = after, step, max(farthest, float(np.abs(after).max()))
    assert farthest > 0.9, "it does not shy away from the walls either"


def test_braking_grants_what_is_within_bounds_and_ends_at_rest() -> None:
    braking = Braking(np.array([1.0]), 0.1, lambda joints: True)
    np.testing.assert_allclose(braking.toward(np.zeros(1), np.array([0.01])), [0.01])
    np.testing.assert_allclose(braking.toward(np.array([0.01]), np.array([0.01])), [0.01])


def adversarial(rng: np.random.Generator) -> Array:
    kind = rng.integers(6)
    if kind == 0:
        return rng.uniform(-1, 1, 3)
    if kind == 1:
        return rng.choice([-1.0, 1.0], 3)
    if kind == 2:
        return rng.normal(0, 1, 3) * 10.0 ** rng.integers(-3, 30)
    if kind == 3:
        return np.array([rng.choice([np.nan, np.inf, -np.inf]), 0.0, 1.0])
    if kind == 4:
        return rng.uniform(-1, 1, int(rng.integers(0, 8)))
    return np.full(3, rng.choice([-1.0, 1.0]))


def assault(robot: RobotConfig, kinematics: Kinematics, count: int, seed: int) -> None:
    """Actions of every kind, held for random times; the arm follows perfectly, lags, or was moved by hand a little."""
    safety, rng = SafetyFilter(robot, kinematics, with_gripper=False), np.random.default_rng(seed)
    period = robot.control_period
    low, high = np.array(robot.safety.workspace_low), np.array(robot.safety.workspace_high)
    speed = np.array(robot.safety.joint_speed)
    margin = robot.safety.joint_margin
    joints, velocity = np.array(robot.home), np.zeros(len(robot.joints))
    safety.begin(joints, None)
    measured = joints
    action = np.zeros(3)
    for number in range(count):
        if rng.random() < 0.15:
            action = adversarial(rng)
        should_refuse = action.shape != (3,) or not np.isfinite(action).all()
        try:
            command = safety.filter(action, measured)
        except RefusedAction:
            assert should_refuse
            continue
        assert not should_refuse, action
        new_velocity = (command.joints - joints) / period
        assert (np.abs(new_velocity) <= speed * (1 + 1e-6)).all(), number
        if robot.safety.joint_acceleration:
            change = np.abs(new_velocity - velocity) / period
            assert (change <= np.array(robot.safety.joint_acceleration) * (1 + 1e-6)).all(), number
        assert (command.joints >= kinematics.limits[:, 0] + margin - 1e-6).all()
        assert (command.joints <= kinematics.limits[:, 1] - margin + 1e-6).all()
        tool = kinematics.forward(command.joints)[0]
        assert (tool >= low - 1.001e-3).all(), number
        assert (tool <= high + 1.001e-3).all(), number
        assert (np.abs(command.executed) <= 1).all()
        joints, velocity = command.joints, new_velocity
        measured = measured + (joints - measured) * rng.choice([1.0, 0.6]) + rng.normal(0, 1e-4, len(joints))


def test_no_action_breaks_a_bound() -> None:
    assault(UR5E, KINEMATICS, 1500, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ur5e", "varl_arm"])
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_actions_break_no_bound(name: str) -> None:
    robot = UR5E if name == "ur5e" else RobotConfig.from_yaml(config_file("robots", name))
    kinematics = Kinematics(robot.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame)
    assault(robot, kinematics, 100_000, seed=1)


def test_the_way_home_keeps_speed_and_box_and_ends_there() -> None:
    rng, home = np.random.default_rng(2), np.array(UR5E.home)
    low, high = np.array(UR5E.safety.workspace_low), np.array(UR5E.safety.workspace_high)
    rotation = KINEMATICS.forward(home)[1]
    for _ in range(5):
        start, _ = KINEMATICS.inverse(rng.uniform(low, high), rotation, home, home)
        way = [start, *way_home(UR5E, KINEMATICS, start)]
        np.testing.assert_allclose(way[-1], home, atol=1e-9)
        assert (np.abs(np.diff(way, axis=0)) <= np.array(UR5E.safety.joint_speed) * UR5E.control_period + 1e-9).all()
        tools = np.array([KINEMATICS.forward(joints)[0] for joints in way])
        assert (tools > low - 2e-3).all()
        assert (tools < high + 2e-3).all()


def test_from_a_place_without_a_way_a_person_is_asked() -> None:
    folded = np.array([2.5, -0.5, 2.6, 0.0, 0.3, 0.0])
    with pytest.raises(ArmError, match="by hand"):
        list(way_home(UR5E, KINEMATICS, folded))


def test_the_fingertips_are_a_frame_of_ours() -> None:
    flange = Kinematics(UR5E.urdf_text(), UR5E.joints, UR5E.base_frame, "tool0")
    home = np.array(UR5E.home)
    position, rotation = flange.forward(home)
    np.testing.assert_allclose(KINEMATICS.forward(home)[0], position + rotation @ [0, 0, 0.15], atol=1e-12)
