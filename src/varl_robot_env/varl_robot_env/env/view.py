"""What a policy sees of a camera's picture."""

from __future__ import annotations

import cv2
import numpy as np
from varl_common.errors import VarlError, did_you_mean

from varl_robot_env.arm import Picture
from varl_robot_env.config.robot import RobotConfig, ViewConfig

OBSERVATIONS = ("state", "pixels", "both")


def seen(picture: Picture, view: ViewConfig) -> Picture:
    """The part of ``picture`` that ``view`` names, (side, side, 3) uint8 RGB."""
    height, width = picture.pixels.shape[:2]
    left, top, right, bottom = view.crop
    part = picture.pixels[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
    # By areas: every pixel of the part counts, so that a thing of two pixels does not come and go.
    square = cv2.resize(part, (view.side, view.side), interpolation=cv2.INTER_AREA)
    return Picture(np.asarray(square, np.uint8), picture.stamp_ns)


def views(observation: str, robot: RobotConfig, looked_at: bool = False) -> dict[str, ViewConfig]:
    """What is seen of each camera of ``robot``; nothing where ``observation`` is of the state alone.

    ``looked_at``: whatever a policy observes, others look: a classifier, or who keeps moments.

    Raises:
        VarlError: it is none of ``OBSERVATIONS``, or the robot's file says of no camera what a policy sees.
    """
    if observation not in OBSERVATIONS:
        raise VarlError(f"unknown observation {observation!r}; {did_you_mean(observation, list(OBSERVATIONS))}")
    if observation == "state" and not looked_at:
        return {}
    found = {camera.name: camera.view for camera in robot.cameras if camera.view}
    if not found:
        raise VarlError(
            f"pictures are to be looked at, by a camera with a view, and {robot.source} has none; write "
            "view: {side: 128} below one of its cameras"
        )
    return found
