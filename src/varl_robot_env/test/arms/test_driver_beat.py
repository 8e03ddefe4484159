"""When a real arm is commanded: on the beat if the agent is in time, and never two periods' ways in less than two."""

from types import SimpleNamespace

import numpy as np
import pytest
from varl_robot_env.arms import driver_arm
from varl_robot_env.arms.driver_arm import DriverArm, with_spare
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.motion import Trajectory
from varl_robot_env.safety.governor import Governor
from varl_robot_env.safety.motion_clock import MotionClock
from varl_robot_env.simulation.trajectory_controller import TrajectoryController

PERIOD, LEAD = 0.05, 0.012
ROBOT = RobotConfig.from_yaml(config_file("robots", "varl_arm"))
KINEMATICS = Kinematics(ROBOT.urdf_text(), ROBOT.joints, ROBOT.base_frame, ROBOT.tool_frame)
HOME, BOUND = np.array(ROBOT.home), np.array(ROBOT.safety.joint_acceleration)
CYCLE = 0.002  # s, of a controller


class Rehearsal:
    """A DriverArm's periods on a clock that only waiting moves, and what its controller is sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.sent: list[tuple[float, Trajectory, float]] = []  # when, what, and when it began
        monkeypatch.setattr(driver_arm, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.arm = arm = object.__new__(DriverArm)
        driver = SimpleNamespace(observation_lead=LEAD)
        arm._robot = SimpleNamespace(control_period=PERIOD, driver=driver)
        arm._deadline, arm._clock = None, MotionClock(HOME, self.now)
        arm._heard = SimpleNamespace(positions=lambda: arm._clock.commanded(self.now)[0])
        arm._loop = SimpleNamespace(
            spin_until=lambda condition, seconds: self.pass_time(seconds), spin_once=lambda _: 0
        )
        arm._check = lambda: None
        arm._command = SimpleNamespace(begin=lambda motion, begun: self.sent.append((self.now, motion, begun)))
        self.governor = Governor(ROBOT, KINEMATICS)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def step(self, thought_for: float, wanted: float = 0.0, filtered_for: float = 0.0) -> None:
        """The agent thinks, and wants a speed of the first joint, rad/s."""
        self.pass_time(thought_for)
        now = self.arm.now()
        start = self.governor.start(now)
        motion = self.governor.next(start, np.array([wanted, 0, 0, 0, 0, 0]), now.motion.at(now.elapsed)[0])[0]
        self.pass_time(filtered_for)
        self.arm._period(motion)

    def joints(self, transport: float) -> np.ndarray:
        """(m,) rad: the first joint, each :data:`CYCLE`, where a message takes ``transport`` s to the controller."""
        controller, way, waiting = TrajectoryController(HOME), [], list(self.sent)
        for at in np.arange(self.sent[0][0], self.now, CYCLE):
            while waiting and waiting[0][0] + transport <= at:
                _, motion, begun = waiting.pop(0)
                here, still = np.array([way[-1]] * 6) if way else HOME, np.zeros(6)
                if not motion.duration:
                    controller.hold(motion.positions[-1])
                    continue
                times = motion.times.tolist()
                controller.command(times, motion.positions, motion.velocities, here, still, at - begun)
            way.append(controller.step(CYCLE)[0])
        return np.array(way)


def acceleration(joint: np.ndarray) -> float:
    """The greatest over a control period, rad/s^2."""
    window = round(PERIOD / CYCLE)
    return float(np.abs(joint[2 * window :] - 2 * joint[window:-window] + joint[: -2 * window]).max() / PERIOD**2)


@pytest.fixture
def rehearsal(monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    return Rehearsal(monkeypatch)


def test_an_agent_in_time_commands_on_the_beat(rehearsal: Rehearsal) -> None:
    for thought_for in (0.0, 0.003, 0.011, 0.0, 0.0119):
        rehearsal.step(thought_for)
        assert rehearsal.now - rehearsal.sent[-1][0] == pytest.approx(PERIOD - LEAD)
    assert np.diff([at for at, _, _ in rehearsal.sent]) == pytest.approx(PERIOD)


@pytest.mark.parametrize("late_by", [0.001, 0.02, 0.049, 3.0])
def test_after_a_late_agent_the_beat_begins_anew(late_by: float, rehearsal: Rehearsal) -> None:
    for thought_for in (0.0, 0.0, LEAD + late_by, 0.0, 0.0):
        rehearsal.step(thought_for)
    assert np.diff([at for at, _, _ in rehearsal.sent]) == pytest.approx([PERIOD, PERIOD + late_by, PERIOD, PERIOD])


@pytest.mark.parametrize("transport", [0.0, 0.001, 0.0035])
@pytest.mark.parametrize("late_by", [0.0, 0.002, 0.015, 0.04])
def test_joints_keep_within_the_acceleration_however_late_agent_and_messages_are(
    transport: float, late_by: float, rehearsal: Rehearsal
) -> None:
    for step in range(24):
        rehearsal.step(LEAD + late_by if step % 3 == 2 else 0.0, wanted=1.5 * (-1) ** (step // 4), filtered_for=0.001)
    assert acceleration(rehearsal.joints(transport)) <= 1.001 * BOUND[0]


def test_a_motion_that_comes_much_too_late_is_not_begun(rehearsal: Rehearsal) -> None:
    rehearsal.step(0.0, wanted=1.0)
    rehearsal.step(0.0, wanted=1.0, filtered_for=0.2)
    assert len(rehearsal.sent) == 1
    rehearsal.step(0.0, wanted=1.0)
    assert acceleration(rehearsal.joints(0.001)) <= 1.001 * BOUND[0]


def test_a_driver_is_asked_for_less_than_the_bound() -> None:
    assert (np.array(with_spare(ROBOT).safety.joint_acceleration) < 0.99 * BOUND).all()
    assert with_spare(ROBOT).safety.joint_speed == ROBOT.safety.joint_speed
