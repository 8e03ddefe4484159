"""The stand-in arm: a joint trajectory controller and servos that lag. ROS-free, stepped by its caller."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

from varl_robot_env.types import Array

_SERVO_LAG = 0.02  # s: time constant with which the joints follow what the controller asks
_SLIP = 0.3  # m/s or rad/s: how fast a slipping gripper opens


@dataclass(order=True)
class _Pending:
    due: float
    times: list[float] = field(compare=False)
    positions: Array = field(compare=False)


class Plant:
    """Joints that follow joint trajectories as ros2_control's joint_trajectory_controller does.

    A new trajectory replaces the old one, starts now (stamp 0) from where the controller is, is interpolated linearly
    and ends at its last point: not fed any longer, the arm stands still there. Time within it is multiplied by
    ``speed_scaling``. While not ``enabled`` trajectories are dropped and the arm stands still at once, as when UR's
    controller stopper has deactivated the controller.

    Attributes:
        positions: (n,) measured joint positions, rad.
        velocities: (n,) rad/s.
        gripper: measured position of the gripper's joint.
        slips: the gripper does not hold what it holds.
    """

    def __init__(self, home: Array, gripper: float, gripper_open: float, gripper_speed: float) -> None:
        self.positions = np.array(home, dtype=np.float64)
        self.velocities = np.zeros_like(self.positions)
        self.gripper, self.slips = gripper, False
        self.enabled, self.speed_scaling = True, 1.0
        self._open, self._gripper_speed, self._gripper_goal = gripper_open, gripper_speed, gripper
        self._now = 0.0
        self._clock = 0.0  # time within the trajectory, s
        self._desired = self.positions.copy()
        self._start = self._desired.copy()
        self._times: list[float] = []
        self._points = np.empty((0, len(self.positions)))
        self._pending: list[_Pending] = []

    @property
    def desired(self) -> Array:
        """(n,) what the controller asks of the servos now, rad."""
        return self._desired.copy()

    def command(self, times: list[float], positions: Array, delay: float = 0.0) -> None:
        """A trajectory: ``times`` (m,) s from its start, ``positions`` (m, n) rad; it arrives after ``delay`` s."""
        if self.enabled:
            heapq.heappush(self._pending, _Pending(self._now + delay, times, np.array(positions)))

    def command_gripper(self, goal: float) -> None:
        """Move the gripper's joint to ``goal`` at its own speed."""
        if self.enabled:
            self._gripper_goal = goal

    def disable(self) -> None:
        """Stand still at once and forget every command."""
        self.enabled = False
        self._pending.clear()
        self._hold()

    def enable(self) -> None:
        """Take commands again, from where the arm stands."""
        self.enabled = True
        self._hold()

    def step(self, dt: float) -> None:
        """Let ``dt`` seconds pass."""
        self._now += dt
        while self._pending and self._pending[0].due <= self._now:
            arrived = heapq.heappop(self._pending)
            self._start, self._clock = self._desired.copy(), 0.0
            self._times, self._points = arrived.times, arrived.positions
        self._clock += dt * self.speed_scaling
        if self._times:
            self._desired = self._sample(self._clock)
        before = self.positions
        self.positions = before + (self._desired - before) * (1.0 - np.exp(-dt / _SERVO_LAG))
        self.velocities = (self.positions - before) / dt
        step = self._gripper_speed * dt
        self.gripper += float(np.clip(self._gripper_goal - self.gripper, -step, step))
        if self.slips:
            self.gripper += float(np.clip(self._open - self.gripper, -_SLIP * dt, _SLIP * dt))

    def _hold(self) -> None:
        self._times = []
        self._desired = self.positions.copy()

    def _sample(self, at: float) -> Array:
        times = np.array([0.0, *self._times])
        points = np.vstack([self._start, self._points])
        return np.array([np.interp(at, times, column) for column in points.T])
