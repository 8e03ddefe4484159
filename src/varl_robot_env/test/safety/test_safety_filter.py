"""The safety filter: nothing leaves the bounds, whatever is asked for."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from varl_common.errors import VarlError
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.safety.safety_filter import RefusedAction, SafetyFilter, Stopped

ROBOT = RobotConfig.from_yaml(config_file("robots", "varl_arm"))
KINEMATICS = Kinematics(ROBOT.urdf_text(), ROBOT.joints, ROBOT.base_frame, ROBOT.tool_frame)
HOME = np.array(ROBOT.home)
LOW, HIGH = np.array(ROBOT.safety.workspace_low), np.array(ROBOT.safety.workspace_high)
STEP = np.array(ROBOT.safety.joint_speed) * ROBOT.control_period
TOLERANCE = 1.1e-3  # m: how far inverse kinematics may miss


def at_home(with_gripper: bool = False) -> SafetyFilter:
    safety = SafetyFilter(ROBOT, KINEMATICS, with_gripper)
    safety.begin(HOME, 0.04)
    return safety


def test_an_ordinary_action_is_executed_as_it_is() -> None:
    safety, action = at_home(), np.array([0.5, -0.25, 0.125])
    command = safety.filter(action, HOME)
    assert command.interventions == ()
    np.testing.assert_array_equal(command.executed, action.astype(np.float32))
    moved = KINEMATICS.forward(command.joints)[0] - KINEMATICS.forward(HOME)[0]
    np.testing.assert_allclose(moved, ROBOT.action_scale * action, atol=1e-5)


def test_standing_still_does_not_creep_though_the_servo_sags() -> None:
    safety = at_home()
    for _ in range(100):
        command = safety.filter(np.zeros(3), HOME + 0.01)
    np.testing.assert_allclose(command.joints, HOME, atol=1e-5)


@pytest.mark.parametrize(
    "action",
    [[0.0, 0.0], [0.0] * 4, [[0.0] * 3], [np.nan, 0, 0], [np.inf, 0, 0], "left", None, [None, 0, 0], [1j, 0, 0]],
)
def test_senseless_actions_are_refused_and_change_nothing(action: Any) -> None:
    safety = at_home()
    with pytest.raises(RefusedAction, match="expected"):
        safety.filter(action, HOME)
    np.testing.assert_allclose(safety.filter(np.zeros(3), HOME).joints, HOME, atol=1e-6)


def test_too_much_is_clipped_and_told() -> None:
    command = at_home().filter([7.0, 0.0, 0.0], HOME)
    assert command.interventions == ("clip",)
    np.testing.assert_array_equal(command.executed, [1, 0, 0])


def test_the_box_holds_and_the_executed_action_says_so() -> None:
    safety, joints = at_home(), HOME
    for _ in range(60):
        command = safety.filter([0.0, 0.0, -1.0], joints)
        joints = command.joints
    assert command.interventions == ("workspace",)
    np.testing.assert_allclose(command.executed, [0, 0, 0], atol=0.01)
    assert KINEMATICS.forward(joints)[0][2] == pytest.approx(LOW[2], abs=TOLERANCE)


def test_a_blocked_arm_does_not_wind_up() -> None:
    """The measured arm stays where it is; the command runs ahead by no more than the leash."""
    safety = at_home()
    for _ in range(50):
        command = safety.filter([0.0, 1.0, 0.0], HOME)
    ahead = np.linalg.norm(KINEMATICS.forward(command.joints)[0] - KINEMATICS.forward(HOME)[0])
    assert ahead <= ROBOT.safety.leash + TOLERANCE
    assert "leash" in command.interventions


def test_an_arm_left_outside_comes_back_no_faster_than_any_move() -> None:
    safety = SafetyFilter(ROBOT, KINEMATICS, with_gripper=False)
    outside, _ = KINEMATICS.inverse(np.array([0.40, 0.0, 0.40]), np.diag([-1.0, 1, -1]), HOME, HOME)
    safety.begin(outside, None)
    joints, heights = outside, []
    for _ in range(12):
        joints = safety.filter([0.0, 0.0, 1.0], joints).joints
        heights.append(KINEMATICS.forward(joints)[0][2])
    drops = -np.diff([0.40, *heights])
    assert drops.max() <= ROBOT.action_scale + 1e-6
    assert heights[-1] == pytest.approx(HIGH[2], abs=TOLERANCE)


def test_gripper_moves_at_its_speed() -> None:
    safety = at_home(with_gripper=True)
    positions = [safety.filter([0, 0, 0, 1.0], HOME).gripper for _ in range(8)]
    assert positions[0] == pytest.approx(0.04 - ROBOT.gripper.speed * ROBOT.control_period)
    assert positions[-1] == 0.0


def test_a_stop_stays_until_rearmed() -> None:
    safety = at_home()
    safety.stop("a person pressed the button")
    safety.stop("something later")
    for _ in range(2):
        with pytest.raises(Stopped, match="a person pressed the button"):
            safety.filter(np.zeros(3), HOME)
    safety.rearm()
    assert safety.filter(np.zeros(3), HOME).interventions == ()


def test_home_outside_of_the_box_is_told() -> None:
    high = ROBOT.safety.model_copy(update={"workspace_high": (0.56, 0.24, 0.10)})
    with pytest.raises(VarlError, match=r"outside of the workspace.*move home or widen"):
        SafetyFilter(ROBOT.model_copy(update={"safety": high}), KINEMATICS, with_gripper=False)


anything = st.one_of(
    st.floats(-1, 1),
    st.sampled_from([-1.0, 1.0, 0.0]),
    st.floats(allow_nan=True, allow_infinity=True, width=32),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(anything, anything, anything, anything), min_size=1, max_size=60), st.floats(0, 1))
def test_no_sequence_of_actions_leaves_the_bounds(actions: list[tuple[float, ...]], follow: float) -> None:
    """Random, bang-bang, huge and not finite; the arm follows its commands well or badly."""
    safety = at_home(with_gripper=True)
    commanded, measured = HOME, HOME
    for action in actions:
        if not np.isfinite(action).all():
            with pytest.raises(RefusedAction):
                safety.filter(action, measured)
            continue
        command = safety.filter(action, measured)
        assert (np.abs(command.joints - commanded) <= STEP * (1 + 1e-5) + 1e-9).all()
        assert (command.joints >= KINEMATICS.limits[:, 0] + ROBOT.safety.joint_margin - 1e-9).all()
        assert (command.joints <= KINEMATICS.limits[:, 1] - ROBOT.safety.joint_margin + 1e-9).all()
        tool = KINEMATICS.forward(command.joints)[0]
        assert (tool >= LOW - TOLERANCE).all()
        assert (tool <= HIGH + TOLERANCE).all()
        assert (np.abs(command.executed) <= 1).all()
        assert ROBOT.gripper.closed <= command.gripper <= ROBOT.gripper.open
        commanded = command.joints
        measured = measured + follow * (commanded - measured)
