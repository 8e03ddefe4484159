"""From a pixel to a place: by the depth that is measured there, or where the line of sight meets a known height."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from varl_robot_env.perception.camera_model import CameraModel
from varl_robot_env.types import Array

_WINDOW = 2  # pixels around a point whose median depth counts: single pixels are often holes


def place_of(
    ray: Array, depths: NDArray[np.float32] | None, camera: Array, behind: float, height: float | None
) -> Array | None:
    """Place (3,) m in the base frame of a thing's centre; None where neither depth nor height tells how far it is.

    Args:
        ray: (3,) line of sight to it in the optical frame, of z 1.
        depths: of the surface that is seen there, m along the optical axis, NaN where unknown; None: not measured.
        camera: (4, 4) the optical frame in the base frame.
        behind: from that surface to the centre along the line of sight, m.
        height: z of the centre in the base frame, m.
    """
    distance = None
    if depths is not None and np.isfinite(depths).any():
        distance = float(np.nanmedian(depths)) + behind / float(np.linalg.norm(ray))
    elif height is not None:
        down = float(camera[2, :3] @ ray)
        if abs(down) > 1e-9:
            distance = (height - float(camera[2, 3])) / down
    if distance is None or distance <= 0:
        return None
    return np.asarray(camera[:3, :3] @ (ray * distance) + camera[:3, 3])


def place_at(
    pixel: Array,
    depth: NDArray[np.float32] | None,
    lens: CameraModel,
    camera: Array,
    behind: float,
    height: float | None,
) -> Array | None:
    """:func:`place_of` what is seen at ``pixel`` (2,), with ``depth`` (h, w) m aligned with the picture, or None."""
    x, y = (round(float(value)) for value in pixel)
    near = None
    if depth is not None:
        near = depth[max(0, y - _WINDOW) : y + _WINDOW + 1, max(0, x - _WINDOW) : x + _WINDOW + 1]
    return place_of(lens.rays(pixel[None])[0], near, camera, behind, height)
