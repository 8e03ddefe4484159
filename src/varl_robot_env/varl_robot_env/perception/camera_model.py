"""A calibrated camera: from pixels to lines of sight and back, whatever its lens. No ROS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from varl_robot_env.types import Array

# A lens is undone step by step: until a step is below a millionth of the focal length, far below what a corner is
# found to; a wide lens takes some 20 steps.
_UNTIL = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 50, 1e-6)
_BACK = 1.0  # pixel: a lens that is straightened and bent again


@dataclass(frozen=True)
class CameraModel:
    """A camera whose lens bends the picture, and the straight one that it stands for.

    Attributes:
        width, height: of its pictures, pixels; 0 where not known.
        k: (3, 3) intrinsic matrix, pixels.
        distortion: OpenCV's coefficients of the lens (4, 5, 8, 12 or 14 of them); with ``fisheye`` the four of the
            equidistant model (Kannala and Brandt 2006).
        fisheye: the lens is an equidistant one.
    """

    width: int
    height: int
    k: Array
    distortion: Array = field(default_factory=lambda: np.zeros(5))
    fisheye: bool = False

    @property
    def bends(self) -> bool:
        """Whether the picture differs from that of a straight lens."""
        return self.fisheye or bool(np.any(self.distortion))

    @property
    def can_be_straightened(self) -> bool:
        """Whether what is seen around the middle comes back where it was, once straightened and bent again.

        The polynomials of lenses with wrong coefficients fold over, or leave all numbers.
        """
        if not self.bends:
            return True
        width, height = self.width or 2 * self.k[0, 2], self.height or 2 * self.k[1, 2]
        across, down = np.meshgrid(np.linspace(0.4, 0.6, 3) * width, np.linspace(0.4, 0.6, 3) * height)
        pixels = np.column_stack([across.ravel(), down.ravel()])
        straight = self.straighten(pixels)
        if not np.isfinite(straight).all():
            return False
        back = self.project(self.rays(pixels))
        return bool(np.isfinite(back).all() and np.abs(back - pixels).max() <= _BACK)

    def straighten(self, pixels: Array) -> Array:
        """(n, 2): where a straight lens with the same ``k`` would show what is seen at ``pixels`` (n, 2)."""
        if not self.bends:
            return np.asarray(pixels, np.float64)
        points = np.asarray(pixels, np.float64).reshape(-1, 1, 2)
        if self.fisheye:
            straight: Any = cv2.fisheye.undistortPoints(points, self.k, self.distortion, P=self.k)
        else:
            undistort: Any = getattr(
                cv2, "undistortPointsIter", cv2.undistortPoints
            )  # OpenCV 4's, which goes on longer
            straight = undistort(points, self.k, self.distortion, R=np.eye(3), P=self.k, criteria=_UNTIL)
        return np.asarray(straight, np.float64).reshape(-1, 2)

    def rays(self, pixels: Array) -> Array:
        """(n, 3) lines of sight through ``pixels`` (n, 2), in the optical frame, of z 1."""
        straight = self.straighten(pixels)
        return np.asarray(np.linalg.solve(self.k, np.column_stack([straight, np.ones(len(straight))]).T).T)

    def project(self, points: Array) -> Array:
        """(n, 2) pixels at which ``points`` (n, 3) of the optical frame, m, are seen."""
        pixels: Any
        still, seen = np.zeros(3), np.asarray(points, np.float64).reshape(-1, 1, 3)
        if self.fisheye:
            pixels, _ = cv2.fisheye.projectPoints(seen, still, still, self.k, self.distortion)
        else:
            pixels, _ = cv2.projectPoints(seen, still, still, self.k, self.distortion)
        return np.asarray(pixels, np.float64).reshape(-1, 2)

    def straighten_picture(self, picture: NDArray[Any], smooth: bool = True) -> NDArray[Any]:
        """``picture`` as a straight lens with the same ``k`` would show it; ``smooth``: values may be mixed."""
        if not self.bends:
            return picture
        size = (picture.shape[1], picture.shape[0])
        make: Any = cv2.fisheye.initUndistortRectifyMap if self.fisheye else cv2.initUndistortRectifyMap
        columns, rows = make(self.k, self.distortion, np.eye(3), self.k, size, cv2.CV_32FC1)
        how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
        return np.asarray(cv2.remap(np.ascontiguousarray(picture), columns, rows, how))
