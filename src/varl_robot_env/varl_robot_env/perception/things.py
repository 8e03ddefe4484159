"""Where the things of the scene are, from one picture, by their markers and colors."""

from __future__ import annotations

from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from varl_common.config import Config
from varl_common.poses import matrix_to_pose

from varl_robot_env.config.names import Name
from varl_robot_env.perception.camera_model import CameraModel
from varl_robot_env.perception.colors import ColorConfig, find_color
from varl_robot_env.perception.localiser_config import PointedConfig
from varl_robot_env.perception.markers import MarkerConfig, find_marker
from varl_robot_env.types import Array, Image, Pose


class ThingConfig(Config):
    """An entity of the task and what to know it by: ``marker``, ``color`` or ``vlm``."""

    name: Name
    marker: MarkerConfig | None = None
    color: ColorConfig | None = None
    vlm: PointedConfig | None = None
    """A model points at it, which teaches a localiser."""

    @model_validator(mode="after")
    def _known_by_one(self) -> Self:
        if sum(one is not None for one in (self.marker, self.color, self.vlm)) != 1:
            raise ValueError(f"{self.name} is known by one of marker, color and vlm; give it one of them")
        return self


def find_things(
    things: list[ThingConfig],
    rgb: Image,
    depth: NDArray[np.float32] | None,
    lens: CameraModel,
    camera: Array,
) -> dict[str, Pose]:
    """Pose (7,) in the base frame of each thing that is seen by marker or color.

    Arguments as those of :func:`~.colors.find_color`. A color says nothing about the orientation: it is the base
    frame's own.
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
