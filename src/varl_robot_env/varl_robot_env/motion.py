"""What an arm and a gripper are told: trajectories, interpolated as joint_trajectory_controller does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varl_robot_env.types import Array

_SHORTEST = 1e-4  # s: points that are nearer in time are one to a controller


@dataclass(frozen=True)
class Trajectory:
    """Points in time: between two of them a cubic where velocities are given, else a straight line.

    Attributes:
        times: (m,) s from its begin, increasing.
        positions: (m, n) rad.
        velocities: (m, n) rad/s, or None.
    """

    times: Array
    positions: Array
    velocities: Array | None = None

    @classmethod
    def at_rest(cls, joints: Array) -> Trajectory:
        """Standing still at ``joints`` (n,) rad."""
        here = np.array(joints, dtype=np.float64)[None]
        return cls(np.zeros(1), here, np.zeros_like(here))

    @property
    def duration(self) -> float:
        """Time of its last point, s: from there on it rests."""
        return float(self.times[-1])

    def then(self, begin: float, end: float, motion: Trajectory) -> Trajectory:
        """What this one, which has velocities, does from ``begin`` to ``end`` s, and after that ``motion``.

        A cubic that is cut is the same cubic: this is exact where ``motion`` begins as this one ends.
        """
        if end - begin < _SHORTEST:
            return motion
        inner = self.times[(self.times > begin + _SHORTEST) & (self.times < end - _SHORTEST)]
        old = [self.at(time) for time in [begin, *inner]]
        assert motion.velocities is not None
        return Trajectory(
            np.concatenate([[0.0], inner - begin, motion.times + (end - begin)]),
            np.vstack([*(positions for positions, _ in old), motion.positions]),
            np.vstack([*(velocities for _, velocities in old), motion.velocities]),
        )

    def at(self, time: float) -> tuple[Array, Array]:
        """Position (n,) rad and velocity (n,) rad/s at ``time`` s from its begin. It rests after its last point."""
        if time >= self.times[-1]:
            return self.positions[-1].copy(), np.zeros(self.positions.shape[1])
        after = max(1, int(np.searchsorted(self.times, time, side="right")))
        before = after - 1
        length = self.times[after] - self.times[before]
        share = max(0.0, (time - self.times[before]) / length)
        start, end = self.positions[before], self.positions[after]
        if self.velocities is None:
            return start + share * (end - start), (end - start) / length
        return _cubic(start, self.velocities[before], end, self.velocities[after], length, share)


@dataclass(frozen=True)
class Moment:
    """What the arm is doing now.

    Attributes:
        measured: (n,) joints, rad.
        motion: what its controller is carrying out.
        elapsed: how far it is with that, s.
    """

    measured: Array
    motion: Trajectory
    elapsed: float


@dataclass(frozen=True)
class GripperMotion:
    """Where the gripper's joint is to go, m (rad).

    Attributes:
        start: where it is commanded to be now.
        position: where at the end of the period, at its greatest speed.
        goal: where in the end.
    """

    start: float
    position: float
    goal: float

    def way(self, period: float) -> Trajectory:
        """That of the period, of ``period`` s: from where it is commanded to be, however far the fingers follow."""
        return Trajectory(np.array([0.0, period]), np.array([[self.start], [self.position]]))


def _cubic(p: Array, u: Array, q: Array, v: Array, length: float, s: float) -> tuple[Array, Array]:
    """Cubic Hermite from ``p`` with velocity ``u`` to ``q`` with ``v`` in ``length`` s, at the share ``s`` of it."""
    way, u, v = q - p, u * length, v * length
    position = p + s * (u + s * (3 * way - 2 * u - v + s * (u + v - 2 * way)))
    velocity = u + s * (2 * (3 * way - 2 * u - v) + 3 * s * (u + v - 2 * way))
    return position, velocity / length
