"""A tool that turns: as far as it is told, in its cone, at its speed, and home again."""

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_common.poses import rotation_of
from varl_robot_env.config.paths import config_file
from varl_robot_env.motion import Moment, Trajectory
from varl_robot_env.safety.homing import WayHome
from varl_robot_env.safety.safety_filter import Command, SafetyFilter
from varl_robot_env.tasks.fit import check_turns
from varl_robot_env.tasks.task import load_task

from .robots import ROBOTS, kinematics, robot

ROBOT = robot("varl_arm")
ARM = kinematics(ROBOT)
HOME, PERIOD = np.array(ROBOT.home), ROBOT.control_period
SIX = [name for name in ROBOTS if name != "so101"]


class Pilot:
    """An arm that follows every command to the letter, or (``follow`` 0) not at all."""

    def __init__(self, axes: list[str], name: str = "varl_arm") -> None:
        self.config, self.arm = robot(name), kinematics(robot(name))
        self.filter = SafetyFilter(self.config, self.arm, axes)
        self.attitude = self.filter.governor.attitude
        self.measured, self.follow = np.array(self.config.home), 1.0
        self.motion = Trajectory.at_rest(self.measured)

    def step(self, action: list[float]) -> Command:
        period = self.config.control_period
        command = self.filter.filter(action, Moment(self.measured, self.motion, period))
        self.motion = command.motion
        self.measured = self.measured + self.follow * (self.motion.at(period)[0] - self.measured)
        return command

    @property
    def tool(self) -> tuple[np.ndarray, np.ndarray]:
        """Where it comes to rest."""
        return self.arm.forward(self.motion.positions[-1])


@pytest.mark.parametrize("name", ROBOTS)
def test_yaw_turns_the_tool_and_leaves_it_where_it_is(name: str) -> None:
    pilot = Pilot(["dx", "dy", "dz", "yaw"], name)
    place, _ = pilot.tool
    for _ in range(6):
        assert pilot.step([0, 0, 0, 0.15]).interventions == ()
    pilot.step([0, 0, 0, 0])
    assert pilot.attitude.yaw(pilot.tool[1]) == pytest.approx(6 * 0.15 * pilot.config.turn.scale, abs=2e-3)
    assert pilot.attitude.lean(pilot.tool[1]) < 0.02
    np.testing.assert_allclose(pilot.tool[0], place, atol=1e-3)


def test_a_rotation_vector_turns_about_the_base_frames_axes_while_the_tool_moves() -> None:
    pilot = Pilot(["dx", "dy", "dz", "rx", "ry", "rz", "gripper"])
    pilot.filter.begin(0.04)
    place, rotation = pilot.tool
    for _ in range(4):
        assert pilot.step([0.2, 0, 0, 0.1, -0.05, 0.15, 1]).interventions == ()
    command = pilot.step([0, 0, 0, 0, 0, 0, 1])
    expected = rotation_of(4 * 0.05 * np.array([0.1, -0.05, 0.15])) @ rotation
    assert pilot.attitude.apart(pilot.tool[1], expected) < 0.01
    np.testing.assert_allclose(pilot.tool[0], place + np.array([4 * 0.2 * 0.0125, 0, 0]), atol=1e-3)
    assert command.gripper.goal == 0.0


def test_the_cone_holds_and_the_executed_action_says_so() -> None:
    pilot = Pilot(["dx", "dy", "dz", "rx", "ry", "rz"])
    for _ in range(30):
        command = pilot.step([0, 0, 0, 1, 0, 0])
    assert "cone" in command.interventions
    np.testing.assert_allclose(command.executed, 0.0, atol=0.1)
    assert pilot.attitude.lean(pilot.tool[1]) == pytest.approx(ROBOT.turn.cone, abs=0.02)
    for _ in range(3):
        command = pilot.step([0, 0, 0, 0, 0, 1])
    assert command.executed[5] > 0.9, "within the cone it turns on"


def test_what_holds_the_tool_is_turned_no_harder_than_the_leash() -> None:
    pilot = Pilot(["dx", "dy", "dz", "yaw"])
    pilot.follow = 0.0
    for _ in range(40):
        command = pilot.step([0, 0, 0, 1])
    assert "leash" in command.interventions
    turned = pilot.attitude.apart(pilot.tool[1], ARM.forward(HOME)[1])
    assert 0.7 * ROBOT.turn.leash < turned <= ROBOT.turn.leash


@pytest.mark.parametrize("name", SIX)
def test_a_turned_tool_comes_home_within_its_bounds(name: str) -> None:
    pilot = Pilot(["dx", "dy", "dz", "rx", "ry", "rz"], name)
    for _ in range(14):
        pilot.step([0.3, 0.3, -0.3, 0.5, 0.3, -1])
    measured, motion, period = pilot.motion.positions[-1], pilot.motion, pilot.config.control_period
    way, turn = WayHome(pilot.config, pilot.arm), pilot.config.turn
    while (step := way.next(Moment(measured, motion, period))) is not None:
        motion = step
        for time in np.linspace(0.0, motion.duration, 4):
            _, rotation, turning = pilot.arm.turning(*motion.at(time))
            assert turning <= turn.speed * (1 + 1e-3)
            assert pilot.attitude.beyond(rotation) < 0.006
        measured = motion.at(period)[0]
    np.testing.assert_allclose(measured, pilot.config.home, atol=1e-4)


def test_an_arm_that_cannot_turn_so_is_told_with_the_numbers() -> None:
    reach = load_task(config_file("tasks", "reach"), act=["dx", "dy", "dz", "rx", "ry", "rz"])
    yaw = load_task(config_file("tasks", "reach"), act=["dx", "dy", "dz", "yaw"])
    small = robot("so101")
    check_turns(yaw, small, kinematics(small))
    with pytest.raises(VarlError, match=r"turns the tool by rx, and of that the 5 joints of the arm miss \d+%"):
        check_turns(reach, small, kinematics(small))
    for name in SIX:
        check_turns(reach, robot(name), kinematics(robot(name)))
    stiff = ROBOT.model_copy(update={"turn": None})
    with pytest.raises(VarlError, match="does not say how it may; add turn there"):
        check_turns(yaw, stiff, ARM)
