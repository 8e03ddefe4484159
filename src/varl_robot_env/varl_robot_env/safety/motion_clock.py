"""What a controller is carrying out, and how far it is. ROS-free."""

from __future__ import annotations

from varl_robot_env.motion import Trajectory
from varl_robot_env.types import Array


class MotionClock:
    """Time within a motion. Where a speed slider slows the arm, it passes as slowly as in the controller.

    Attributes:
        motion: what is being carried out.
    """

    def __init__(self, joints: Array, now: float) -> None:
        """The arm stands at ``joints`` (n,) rad; ``now``: s, monotonic."""
        self.motion = Trajectory.at_rest(joints)
        self._elapsed, self._at, self._scale = 0.0, now, 1.0

    def begin(self, motion: Trajectory, now: float) -> None:
        """``motion`` begins."""
        self.motion, self._elapsed, self._at = motion, 0.0, now

    def set_scale(self, scale: float, now: float) -> None:
        """From now on time passes ``scale`` times as fast."""
        self._elapsed, self._at, self._scale = self.elapsed(now), now, scale

    def elapsed(self, now: float) -> float:
        """How far the motion is, s."""
        return self._elapsed + max(0.0, now - self._at) * self._scale

    def commanded(self, now: float) -> tuple[Array, Array]:
        """(n,) rad and (n,) rad/s that the controller asks of the servos."""
        return self.motion.at(self.elapsed(now))
