"""When a real arm is commanded: on the beat if the agent is in time, and never two periods' ways in less than two."""

from types import SimpleNamespace

import numpy as np
import pytest
from varl_robot_env.arms import driver_arm
from varl_robot_env.arms.driver_arm import DriverArm
from varl_robot_env.motion import Trajectory
from varl_robot_env.safety.motion_clock import MotionClock

PERIOD, AHEAD = 0.05, 0.012


class Rehearsal:
    """A DriverArm's periods on a clock that only waiting moves."""

    def __init__(self, lead: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.commands = 100.0, []
        monkeypatch.setattr(driver_arm, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.arm = arm = object.__new__(DriverArm)
        arm._robot = SimpleNamespace(control_period=PERIOD, driver=SimpleNamespace(observation_lead=lead))
        arm._deadline, arm._clock = None, MotionClock(np.zeros(1), self.now)
        arm._loop = SimpleNamespace(spin_until=lambda condition, seconds: self.pass_time(seconds))
        arm._check = lambda: None
        arm._command = SimpleNamespace(begin=lambda motion, begun: self.commands.append(self.now))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def step(self, thought_for: float) -> float:
        """The agent thinks, then moves; when it is shown the state, relative to the command."""
        self.pass_time(thought_for)
        self.arm._period(Trajectory.at_rest(np.ones(1)))
        return self.now - self.commands[-1]


def test_an_agent_in_time_commands_on_the_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal = Rehearsal(AHEAD, monkeypatch)
    for thought_for in (0.0, 0.003, 0.011, 0.0, 0.0119):
        assert rehearsal.step(thought_for) == pytest.approx(PERIOD - AHEAD)
    assert np.diff(rehearsal.commands) == pytest.approx(PERIOD)


@pytest.mark.parametrize("late_by", [0.001, 0.02, 0.049, 3.0])
def test_after_a_late_agent_the_beat_begins_anew(late_by: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal = Rehearsal(AHEAD, monkeypatch)
    for thought_for in (0.0, 0.0, AHEAD + late_by, 0.0, 0.0):
        rehearsal.step(thought_for)
    assert np.diff(rehearsal.commands) == pytest.approx([PERIOD, PERIOD + late_by, PERIOD, PERIOD])
