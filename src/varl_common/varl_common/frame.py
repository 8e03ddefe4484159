"""A camera's picture with its calibration: the mirror of varl_interfaces/Frame for code without ROS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Frame:
    """One camera's picture of one instant, upright.

    Attributes:
        camera: the camera's name.
        jpeg: the picture, JPEG.
        depth: 16-bit PNG aligned with the picture, millimetres along the optical axis, 0 where not known; empty where
            the camera has no depth.
        k: (3, 3) intrinsic matrix, pixels; None where not known.
        camera_pose: (4, 4) transform from the optical frame (z ahead, x right, y down) to the base frame, m; None where
            not known.
        frame_id: name of the optical frame.
        stamp_ns: when it was taken, ns by the clock of whoever took it.
    """

    camera: str
    jpeg: bytes
    depth: bytes = b""
    k: NDArray[np.float64] | None = None
    camera_pose: NDArray[np.float64] | None = None
    frame_id: str = ""
    stamp_ns: int = 0
