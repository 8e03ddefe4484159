"""Where a thing is that has a color of its own: its position in the robot's base frame."""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat
from varl_common.config import Config

from varl_robot_env.perception.camera_model import CameraModel
from varl_robot_env.perception.lifting import place_of
from varl_robot_env.types import Array, Image


class ColorConfig(Config):
    """A thing of one color that nothing else in view has."""

    hue: tuple[float, float]
    """From and to, degrees 0..360 on the color wheel; red wraps around: [340, 20]."""
    min_saturation: Annotated[float, Field(ge=0, le=1)] = 0.4
    min_value: Annotated[float, Field(ge=0, le=1)] = 0.2
    min_area: PositiveFloat = 60.0
    """Pixels; smaller blobs are noise."""
    behind: Annotated[float, Field(ge=0)] = 0.0
    """From the surface that is seen to the thing's centre, along the line of sight, m. Used with depth."""
    height: float | None = None
    """z of the thing's centre in the base frame, m: tells the distance where there is no depth."""


def find_color(
    rgb: Image, depth: NDArray[np.float32] | None, lens: CameraModel, camera: Array, color: ColorConfig
) -> Array | None:
    """Position (3,) m in the base frame of the largest blob of the color; None where it or its distance is missing.

    ``rgb``: (h, w, 3). ``depth``: (h, w) m aligned with it, NaN where unknown, or None. ``camera``: (4, 4) in the base.
    """
    mask = _mask(rgb, color)
    count, labels, stats, centres = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    if stats[largest, cv2.CC_STAT_AREA] < color.min_area:
        return None
    ray = lens.rays(centres[largest][None])[0]
    seen = None if depth is None else _surface(labels == largest, depth)
    return place_of(ray, seen, camera, color.behind, color.height)


def _mask(rgb: Image, color: ColorConfig) -> NDArray[np.uint8]:
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)  # OpenCV halves the hue to fit a byte
    low, high = (edge % 360.0 / 2.0 for edge in color.hue)
    hue = hsv[..., 0]
    inside = (hue >= low) & (hue <= high) if low <= high else (hue >= low) | (hue <= high)
    vivid = (hsv[..., 1] >= 255 * color.min_saturation) & (hsv[..., 2] >= 255 * color.min_value)
    return np.asarray(inside & vivid, dtype=np.uint8)


def _surface(blob: NDArray[np.bool_], depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Depths of the blob, away from its edge, where depth cameras mix the thing with what is behind it."""
    core = cv2.erode(blob.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return depth[core if core.any() else blob]
