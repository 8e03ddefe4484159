"""When a real arm is commanded: on the beat if the agent is in time, and never two periods' ways in less than two."""

from types import SimpleNamespace

import numpy as np
import pytest
from varl_robot_env.arms import driver_arm
from varl_robot_env.arms.driver_arm import DriverArm

PERIOD, AHEAD = 0.05, 0.012


class Rehearsal:
    """A DriverArm's periods on a clock that only waiting moves."""

    def __init__(self, ahead: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.commands, self.fractions = 100.0, [], []
        monkeypatch.setattr(driver_arm, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.arm = arm = object.__new__(DriverArm)
        arm._robot = SimpleNamespace(control_period=PERIOD)
        arm._ahead, arm._deadline, arm._commanded = ahead, None, np.zeros(1)
        arm._loop = SimpleNamespace(spin_until=lambda condition, seconds: self.pass_time(seconds))
        arm._check = lambda: None
        arm._command = SimpleNamespace(
            start=lambda joints, goal: self.commands.append(self.now), tick=self.fractions.append
        )

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def step(self, thought_for: float) -> float:
        """The agent thinks, then moves; when it is shown the state, relative to the command."""
        self.pass_time(thought_for)
        self.arm._period(np.ones(1))
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


def test_what_is_streamed_is_streamed_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal = Rehearsal(0.0, monkeypatch)
    assert rehearsal.step(0.0) == pytest.approx(PERIOD)
    assert rehearsal.fractions[0] == 0.0
    assert np.diff(rehearsal.fractions).max() < 0.25
    assert rehearsal.fractions[-1] == 1.0
