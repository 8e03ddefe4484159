"""A pose as position and quaternion, as ROS writes it, and as a matrix, as geometry uses it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation


def pose_to_matrix(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, 4) transform of a pose (7,): position m and quaternion x, y, z, w of any length but 0.

    Raises:
        ValueError: the quaternion is all 0.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat(pose[3:]).as_matrix()
    matrix[:3, 3] = pose[:3]
    return matrix


def matrix_to_pose(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """(7,) position m and unit quaternion x, y, z, w of a transform (4, 4)."""
    return np.concatenate([matrix[:3, 3], Rotation.from_matrix(matrix[:3, :3]).as_quat()])
