"""Poses as position and quaternion, as ROS writes them, and as matrices, as geometry uses them; and rotations.

A rotation vector is axis times angle, rad. What is of rotations takes and gives batches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

_TINY = 1e-9  # of a sine: below it an axis is read otherwise


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


def rotation_of(vector: Any) -> NDArray[np.float64]:
    """(..., 3, 3) rotation matrices of rotation vectors (..., 3), rad. Source: Rodrigues' formula."""
    vector = np.asarray(vector, np.float64)
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    x, y, z = (vector / np.maximum(angle[..., 0], _TINY)).transpose(-1, *range(vector.ndim - 1))
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vector.shape[:-1], 3, 3)
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross))


def rotation_vector(matrix: Any) -> NDArray[np.float64]:
    """(..., 3) rotation vectors, rad, of rotation matrices (..., 3, 3); of half a turn, one of its two."""
    m = np.asarray(matrix, np.float64)
    twice = np.stack([m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], -1)
    sine = np.linalg.norm(twice, axis=-1, keepdims=True) / 2
    cosine = (np.trace(m, axis1=-2, axis2=-1)[..., None] - 1) / 2
    angle = np.arctan2(sine, cosine)
    axis = twice / np.maximum(2 * sine, _TINY)
    half = (sine < _TINY)[..., 0] & (cosine < 0)[..., 0]
    if half.any():  # there the matrix is 2 a a^T - 1
        outer = m + np.eye(3)
        column = np.take_along_axis(outer, np.argmax(np.diagonal(m, 0, -2, -1), -1)[..., None, None], -1)[..., 0]
        axis = np.where(
            half[..., None], column / np.maximum(np.linalg.norm(column, axis=-1, keepdims=True), _TINY), axis
        )
    return np.asarray(axis * angle)


def angle_between(one: Any, other: Any) -> NDArray[np.float64]:
    """(...) rad between rotation matrices (..., 3, 3)."""
    return np.asarray(np.linalg.norm(rotation_vector(one @ np.swapaxes(other, -1, -2)), axis=-1))


def yaw_of(matrix: Any) -> NDArray[np.float64]:
    """(...) rad: the part about z of rotation matrices (..., 3, 3), the twist of a swing and a twist."""
    m = np.asarray(matrix, np.float64)
    return np.asarray(np.arctan2(m[..., 1, 0] - m[..., 0, 1], m[..., 0, 0] + m[..., 1, 1]))
