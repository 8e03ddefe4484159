"""How the scene lies in a picture: the camera's axes in the robot's base frame, and points to pixels and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Projection:
    """A picture's size and, as far as it is known, its pinhole camera (x right, y down, z ahead; REP 103)."""

    width: int
    height: int
    k: Vector | None = None
    """Intrinsic matrix for this size, shape (3, 3). A negative k[0, 0] is a picture mirrored left to right."""
    pose: Vector | None = None
    """Transform from the optical frame to the base frame, shape (4, 4)."""

    @property
    def calibrated(self) -> bool:
        """Whether points can be projected."""
        return self.k is not None and self.pose is not None

    def scaled(self, width: int, height: int) -> Projection:
        """The projection of the same picture at another size."""
        if self.k is None:
            return Projection(width, height, None, self.pose)
        ratio = np.diag([width / self.width, height / self.height, 1.0])
        return Projection(width, height, ratio @ self.k, self.pose)

    def mirrored(self) -> Projection:
        """The projection of the picture flipped left to right."""
        k = np.eye(3) if self.k is None else self.k
        flip = np.array([[-1.0, 0.0, self.width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        return Projection(self.width, self.height, flip @ k, self.pose)

    def image_axes(self) -> tuple[Vector, Vector, Vector] | None:
        """Unit vectors in the base frame of image-right, image-up and into the picture; None with no pose."""
        if self.pose is None:
            return None
        rotation = self.pose[:3, :3]
        right = rotation[:, 0] if self.k is None else rotation[:, 0] * np.sign(self.k[0, 0])
        return right, -rotation[:, 1], rotation[:, 2]

    def pixel(self, point: Vector) -> Vector | None:
        """Where a point of the base frame (shape (3,), m) is in the picture, shape (2,), px; None behind it."""
        if self.k is None or self.pose is None:
            return None
        optical = self.pose[:3, :3].T @ (np.asarray(point, np.float64) - self.pose[:3, 3])
        if optical[2] < 1e-3:
            return None
        projected = self.k @ optical
        return np.asarray(projected[:2] / projected[2])

    def holds(self, pixel: Vector | None) -> bool:
        """Whether ``pixel`` lies in the picture."""
        return pixel is not None and bool(0 <= pixel[0] < self.width and 0 <= pixel[1] < self.height)

    def point_at_depth(self, pixel: Vector, depth: float) -> Vector:
        """The point of the base frame seen at ``pixel``, ``depth`` metres along the optical axis. Needs calibration."""
        assert self.k is not None
        assert self.pose is not None
        ray = np.linalg.solve(self.k, np.array([pixel[0], pixel[1], 1.0]))
        return np.asarray(self.pose[:3, :3] @ (ray * depth) + self.pose[:3, 3])

    def point_at_height(self, pixel: Vector, height: float) -> Vector | None:
        """Where the line of sight through ``pixel`` meets the plane z = ``height``; None if it never does."""
        assert self.pose is not None
        eye, along = self.pose[:3, 3], self.point_at_depth(pixel, 1.0) - self.pose[:3, 3]
        if abs(along[2]) < 1e-9:
            return None
        distance = (height - eye[2]) / along[2]
        return np.asarray(eye + distance * along) if distance > 0 else None
