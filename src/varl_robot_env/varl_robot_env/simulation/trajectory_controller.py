"""A joint_trajectory_controller that behaves as ros2_control's. ROS-free."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from varl_common.errors import VarlError

from varl_robot_env.motion import Trajectory
from varl_robot_env.types import Array


class TrajectoryController:
    """Carries out one trajectory at a time; a new one replaces it at once.

    As with ``interpolate_from_desired_state: false``, which is the real one's default, a trajectory whose first point
    lies ahead begins at the *measured* state; one whose first point is now begins there. After its last point the
    controller holds it. Source: ros2_controllers (jazzy), joint_trajectory_controller/src/trajectory.cpp and
    joint_trajectory_controller.cpp.
    """

    def __init__(self, joints: Array) -> None:
        """Hold ``joints`` (n,) rad."""
        self._trajectory, self._time = Trajectory.at_rest(joints), 0.0

    def command(
        self,
        times: Sequence[float],
        positions: Array,
        velocities: Array | None,
        measured: Array,
        measured_velocities: Array,
        begun: float = 0.0,
    ) -> None:
        """Begin a trajectory now, with the joints as measured, (n,) rad and rad/s.

        Args:
            times: (m,) s from now, increasing.
            positions: (m, n) rad.
            velocities: (m, n) rad/s, the last of them zero, or None.
            measured: (n,) rad.
            measured_velocities: (n,) rad/s.
            begun: how long ago the trajectory began by its own stamp, s.

        Raises:
            VarlError: the real controller would reject it.
        """
        points = np.array(positions, dtype=np.float64)
        speeds = None if velocities is None else np.array(velocities, dtype=np.float64)
        if points.shape != (len(times), len(measured)) or (speeds is not None and speeds.shape != points.shape):
            raise VarlError(f"expected {len(times)} points of {len(measured)} joints; check the trajectory's arrays")
        if not len(times) or times[0] < 0 or (np.diff(times) <= 0).any():
            raise VarlError(f"the points' times {list(times)} must increase from 0 on")
        if not np.isfinite(points).all() or not (speeds is None or np.isfinite(speeds).all()):
            raise VarlError("the trajectory has numbers that are not finite")
        if speeds is not None and speeds[-1].any():
            raise VarlError(f"the last point has the velocity {speeds[-1].tolist()}; a trajectory must end at rest")
        begin = np.array(times, dtype=np.float64) - begun
        if begin[-1] < 0:
            raise VarlError(f"the trajectory ended {-begin[-1]:.3f} s ago; see whether the clocks agree")
        if begin[0] > 0:
            begin, points = np.append(0.0, begin), np.vstack([measured, points])
            speeds = None if speeds is None else np.vstack([measured_velocities, speeds])
        self._trajectory, self._time = Trajectory(begin, points, speeds), 0.0

    def hold(self, joints: Array) -> None:
        """Forget the trajectory and stand still at ``joints`` (n,) rad."""
        self._trajectory, self._time = Trajectory.at_rest(joints), 0.0

    def step(self, seconds: float) -> Array:
        """Let time pass within the trajectory; (n,) what is asked of the servos then, rad."""
        self._time += seconds
        return self._trajectory.at(self._time)[0]
