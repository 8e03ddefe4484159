"""The stand-in arm: a joint trajectory controller and servos that lag. ROS-free, stepped by its caller."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np
from varl_common.errors import VarlError

from varl_robot_env.motion import Trajectory
from varl_robot_env.simulation.trajectory_controller import TrajectoryController
from varl_robot_env.types import Array

SERVO_LAG = 0.02  # s: time constant with which the joints follow what the controller asks
_SLIP = 0.3  # m/s or rad/s: how fast a slipping gripper opens


@dataclass(order=True)
class _Pending:
    due: float
    trajectory: Trajectory = field(compare=False)


class Plant:
    """Joints that follow a joint_trajectory_controller.

    Time within a trajectory is multiplied by ``speed_scaling``. While not ``enabled`` trajectories are dropped and the
    arm stands still at once, as when UR's controller stopper has deactivated the controller.

    Attributes:
        positions: (n,) measured joint positions, rad.
        velocities: (n,) rad/s.
        gripper: measured position of the gripper's joint.
        slips: the gripper does not hold what it holds.
        blocked: something holds the arm where it is.
    """

    def __init__(
        self, home: Array, gripper: float, gripper_open: float, gripper_speed: float, servo_lag: float = SERVO_LAG
    ) -> None:
        self.positions = np.array(home, dtype=np.float64)
        self.velocities = np.zeros_like(self.positions)
        self.gripper, self.slips, self.blocked = gripper, False, False
        self.enabled, self.speed_scaling = True, 1.0
        self._open, self._gripper_speed, self._gripper_goal = gripper_open, gripper_speed, gripper
        self._lag = servo_lag
        self._now = 0.0
        self._desired = self.positions.copy()
        self._controller = TrajectoryController(self.positions)
        self._pending: list[_Pending] = []

    @property
    def desired(self) -> Array:
        """(n,) what the controller asks of the servos now, rad."""
        return self._desired.copy()

    def command(self, trajectory: Trajectory, delay: float = 0.0, begun: float = 0.0) -> None:
        """A trajectory, which began ``begun`` s ago by its stamp, arrives after ``delay`` s.

        Raises:
            VarlError: the controller rejects it.
        """
        if not self.enabled:
            return
        if delay:
            heapq.heappush(self._pending, _Pending(self._now + delay, trajectory))
        else:
            self._begin(trajectory, begun)

    def command_gripper(self, goal: float) -> None:
        """Move the gripper's joint to ``goal`` at its own speed."""
        if self.enabled:
            self._gripper_goal = goal

    def push(self, joints: Array) -> None:
        """Somebody moves the arm to ``joints`` (n,) rad by hand, with the controller switched off meanwhile."""
        self.positions = np.array(joints, dtype=np.float64)
        self._hold()

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
            try:
                self._begin(heapq.heappop(self._pending).trajectory)
            except VarlError:
                continue  # nobody is there to be told any more
        self._desired = self._controller.step(dt * self.speed_scaling)
        before = self.positions
        follows = 0.0 if self.blocked else 1.0 - np.exp(-dt / self._lag) if self._lag else 1.0
        self.positions = before + (self._desired - before) * follows
        self.velocities = (self.positions - before) / dt
        step = self._gripper_speed * dt
        self.gripper += float(np.clip(self._gripper_goal - self.gripper, -step, step))
        if self.slips:
            self.gripper += float(np.clip(self._open - self.gripper, -_SLIP * dt, _SLIP * dt))

    def _begin(self, trajectory: Trajectory, begun: float = 0.0) -> None:
        times, velocities = trajectory.times.tolist(), trajectory.velocities
        self._controller.command(times, trajectory.positions, velocities, self.positions, self.velocities, begun)

    def _hold(self) -> None:
        self._controller.hold(self.positions)
        self._desired = self.positions.copy()
