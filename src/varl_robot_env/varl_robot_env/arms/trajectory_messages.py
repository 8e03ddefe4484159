"""Between trajectories and trajectory_msgs/JointTrajectory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from varl_common.errors import VarlError
from varl_common.ros.messages import to_doubles, to_duration, to_ns

from varl_robot_env.motion import Trajectory


class TrajectoryMessage:
    """A message of the same joints, made once and filled in for each trajectory: making it is what takes long."""

    def __init__(self, joints: Sequence[str]) -> None:
        self._message = JointTrajectory(joint_names=list(joints))
        self._points: list[JointTrajectoryPoint] = []

    def fill(self, trajectory: Trajectory) -> JointTrajectory:
        """The message of ``trajectory``, with stamp 0: it begins when it arrives."""
        count = len(trajectory.times)
        self._points += [JointTrajectoryPoint() for _ in range(count - len(self._points))]
        for row, point in enumerate(self._points[:count]):
            point.time_from_start = to_duration(round(trajectory.times[row] * 1e9))
            point.positions = to_doubles(trajectory.positions[row])
            if trajectory.velocities is not None:
                point.velocities = to_doubles(trajectory.velocities[row])
        self._message.points = self._points[:count]
        return self._message


def from_trajectory_msg(message: JointTrajectory) -> Trajectory:
    """The trajectory of a message; without velocities where not every point has them.

    Raises:
        VarlError: it has no points, or points of another length than its joints.
    """
    count, points = len(message.joint_names), message.points
    if not points or any(len(point.positions) != count for point in points):
        raise VarlError("expected points with a position for each joint")
    moving = all(len(point.velocities) == count for point in points)
    return Trajectory(
        np.array([to_ns(point.time_from_start) * 1e-9 for point in points]),
        np.array([point.positions for point in points], dtype=np.float64),
        np.array([point.velocities for point in points], dtype=np.float64) if moving else None,
    )
