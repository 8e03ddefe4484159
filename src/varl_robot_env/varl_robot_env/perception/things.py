"""Where the things of the scene are, from one picture, by their markers and colors."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from varl_common.config import Config
from varl_common.poses import matrix_to_pose

from varl_robot_env.config.names import Name
from varl_robot_env.perception.camera_model import CameraModel
from varl_robot_env.perception.colors import ColorConfig, find_color
from varl_robot_env.perception.markers import MarkerConfig, find_marker
from varl_robot_env.types import Array, Image, Pose


class ThingConfig(Config):
    """An entity of the task and what to know it by: ``marker`` or ``color``."""

    name: Name
    marker: MarkerConfig | None = None
    color: ColorConfig | None = None


def find_things(
    things: list[ThingConfig],
    rgb: Image,
    depth: NDArray[np.float32] | None,
    lens: CameraModel,
    camera: Array,
) -> dict[str, Pose]:
    """Pose (7,) in the base frame of each thing that is seen; arguments as those of :func:`~.colors.find_color`.

    A color says nothing about the orientation: it is the base frame's own.
    """
    found: dict[str, Pose] = {}
    gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    for thing in things:
        if thing.marker is not None:
            in_camera = find_marker(gray, lens, thing.marker)
            if in_camera is not None:
                found[thing.name] = matrix_to_pose(camera @ in_camera)
        elif thing.color is not None:
            position = find_color(rgb, depth, lens, camera, thing.color)
            if position is not None:
                found[thing.name] = np.concatenate([position, [0.0, 0.0, 0.0, 1.0]])
    return found
