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
from varl_robot_env.motion import Moment, Trajectory
from varl_robot_env.safety.safety_filter import Command, RefusedAction, SafetyFilter, Stopped

ROBOT = RobotConfig.from_yaml(config_file("robots", "varl_arm"))
KINEMATICS = Kinematics(ROBOT.urdf_text(), ROBOT.joints, ROBOT.base_frame, ROBOT.tool_frame)
HOME = np.array(ROBOT.home)
LOW, HIGH = np.array(ROBOT.safety.workspace_low), np.array(ROBOT.safety.workspace_high)
PERIOD = ROBOT.control_period
TOLERANCE = 1.1e-3  # m: how far inverse kinematics may miss


class Pilot:
    """A filter and an arm that follows its motions, as well as a test says."""

    def __init__(self, with_gripper: bool = False, start: np.ndarray = HOME) -> None:
        self.safety = SafetyFilter(ROBOT, KINEMATICS, ["dx", "dy", "dz", *(["gripper"] if with_gripper else [])])
        self.safety.begin(0.04)
        self.motion, self.measured, self.follow = Trajectory.at_rest(start), np.array(start), 1.0

    def now(self) -> Moment:
        return Moment(self.measured, self.motion, PERIOD)

    def step(self, action: Any) -> Command:
        command = self.safety.filter(action, self.now())
        self.motion = command.motion
        self.measured = self.measured + self.follow * (self.motion.at(PERIOD)[0] - self.measured)
        return command

    @property
    def tool(self) -> np.ndarray:
        """Where it is commanded to be."""
        return KINEMATICS.forward(self.motion.at(PERIOD)[0])[0]


def test_an_ordinary_action_is_executed_as_it_is_and_moves_that_far_in_the_end() -> None:
    pilot, action = Pilot(), np.array([0.3, -0.25, 0.125])
    command = pilot.step(action)
    assert command.interventions == ()
    np.testing.assert_array_equal(command.executed, action.astype(np.float32))
    pilot.step(np.zeros(3))
    moved = pilot.tool - KINEMATICS.forward(HOME)[0]
    np.testing.assert_allclose(moved, ROBOT.action_scale * action, atol=1e-4)
    assert not pilot.motion.at(PERIOD)[1].any(), "it rests"


def test_standing_still_does_not_creep_though_the_servo_sags() -> None:
    pilot = Pilot()
    pilot.measured, pilot.follow = HOME + 0.01, 0.0
    for _ in range(100):
        pilot.step(np.zeros(3))
    np.testing.assert_allclose(pilot.motion.positions[-1], HOME, atol=1e-5)


@pytest.mark.parametrize(
    "action",
    [[0.0, 0.0], [0.0] * 4, [[0.0] * 3], [np.nan, 0, 0], [np.inf, 0, 0], "left", None, [None, 0, 0], [1j, 0, 0]],
)
def test_senseless_actions_are_refused_and_change_nothing(action: Any) -> None:
    pilot = Pilot()
    with pytest.raises(RefusedAction, match="expected"):
        pilot.step(action)
    pilot.step(np.zeros(3))
    np.testing.assert_allclose(pilot.motion.positions[-1], HOME, atol=1e-6)


def test_too_much_is_clipped_and_told() -> None:
    pilot = Pilot()
    for _ in range(3):
        command = pilot.step([7.0, 0.0, 0.0])
    assert command.interventions == ("clip",)
    np.testing.assert_array_equal(command.executed, [1, 0, 0])


def test_the_box_holds_and_the_executed_action_says_so() -> None:
    pilot = Pilot()
    for _ in range(60):
        command = pilot.step([0.0, 0.0, -1.0])
    assert command.interventions == ("workspace",)
    np.testing.assert_allclose(command.executed, [0, 0, 0], atol=0.01)
    assert pilot.tool[2] == pytest.approx(LOW[2], abs=TOLERANCE)


def test_a_blocked_arm_does_not_wind_up() -> None:
    """The measured arm stays where it is; the command runs ahead by no more than the leash."""
    pilot = Pilot()
    pilot.follow = 0.0
    for _ in range(50):
        command = pilot.step([0.0, 1.0, 0.0])
    ahead = np.linalg.norm(pilot.tool - KINEMATICS.forward(HOME)[0])
    assert 0.8 * ROBOT.safety.leash < ahead <= ROBOT.safety.leash
    assert "leash" in command.interventions


def test_an_arm_left_outside_comes_back_no_faster_than_any_move() -> None:
    outside, _ = KINEMATICS.inverse(np.array([0.40, 0.0, 0.40]), np.diag([-1.0, 1, -1]), HOME, HOME)
    pilot, heights = Pilot(start=outside), [0.40]
    for _ in range(20):
        pilot.step([0.0, 0.0, 1.0])
        heights.append(pilot.tool[2])
    assert -np.diff(heights).min() <= ROBOT.action_scale + 1e-6
    assert heights[-1] == pytest.approx(HIGH[2], abs=TOLERANCE)


def test_gripper_moves_at_its_speed_to_its_goal() -> None:
    pilot = Pilot(with_gripper=True)
    commands = [pilot.step([0, 0, 0, 1.0]).gripper for _ in range(8)]
    assert commands[0].position == pytest.approx(0.04 - ROBOT.gripper.speed * PERIOD)
    assert [command.goal for command in commands] == [0.0] * 8
    assert commands[-1].position == 0.0


def test_a_stop_stays_until_rearmed() -> None:
    pilot = Pilot()
    pilot.safety.stop("a person pressed the button")
    pilot.safety.stop("something later")
    for _ in range(2):
        with pytest.raises(Stopped, match="a person pressed the button"):
            pilot.step(np.zeros(3))
    pilot.safety.rearm()
    assert pilot.step(np.zeros(3)).interventions == ()


def test_home_outside_of_the_box_is_told() -> None:
    high = ROBOT.safety.model_copy(update={"workspace_high": (0.56, 0.24, 0.10)})
    with pytest.raises(VarlError, match=r"outside of the workspace.*move home or widen"):
        SafetyFilter(ROBOT.model_copy(update={"safety": high}), KINEMATICS, ["dx", "dy", "dz"])


anything = st.one_of(
    st.floats(-1, 1),
    st.sampled_from([-1.0, 1.0, 0.0]),
    st.floats(allow_nan=True, allow_infinity=True, width=32),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(anything, anything, anything, anything), min_size=1, max_size=60), st.floats(0, 1))
def test_no_sequence_of_actions_leaves_the_bounds(actions: list[tuple[float, ...]], follow: float) -> None:
    """Random, bang-bang, huge and not finite; the arm follows its commands well or badly."""
    pilot = Pilot(with_gripper=True)
    pilot.follow = follow
    for action in actions:
        if not np.isfinite(action).all():
            with pytest.raises(RefusedAction):
                pilot.step(action)
            continue
        command = pilot.step(action)
        assert (np.abs(command.motion.velocities) <= np.array(ROBOT.safety.joint_speed) * (1 + 1e-9)).all()
        for joints in command.motion.positions:
            assert (joints >= KINEMATICS.limits[:, 0] + ROBOT.safety.joint_margin - 1e-9).all()
            assert (joints <= KINEMATICS.limits[:, 1] - ROBOT.safety.joint_margin + 1e-9).all()
            tool = KINEMATICS.forward(joints)[0]
            assert (tool >= LOW - TOLERANCE).all()
            assert (tool <= HIGH + TOLERANCE).all()
        assert (np.abs(command.executed) <= 1).all()
        assert ROBOT.gripper.closed <= command.gripper.position <= ROBOT.gripper.open
