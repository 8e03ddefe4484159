"""Where the things of the scene are, from a picture: printed markers, and blobs of one color. ROS-free.

The frames: ``camera`` is the optical frame (z ahead, x right, y down), ``base`` the robot's base frame.
"""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, field_validator
from varl_common.config import Config, did_you_mean
from varl_common.poses import matrix_to_pose

from varl_robot_env.types import Array, Image, Pose

DICTIONARIES = {
    name.removeprefix("DICT_").lower(): getattr(cv2.aruco, name)
    for name in dir(cv2.aruco)
    if name.startswith("DICT_") and name.upper() == name
}


class MarkerConfig(Config):
    """A printed ArUco or AprilTag marker on the thing."""

    dictionary: str = "apriltag_36h11"
    id: Annotated[int, Field(ge=0)]
    size: PositiveFloat
    """Edge of the black square, m. Measure the print: printers scale."""
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """From the marker's centre to the thing's, m, in the marker's frame (x right, y up on the print, z out of it)."""
    max_error: PositiveFloat = 2.0
    """Reprojection error above which a sighting does not count, pixels (root mean square over the corners)."""

    @field_validator("dictionary")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in DICTIONARIES:
            raise ValueError(f"unknown marker dictionary; {did_you_mean(value, list(DICTIONARIES))}")
        return value


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


class ThingConfig(Config):
    """An entity of the task and what to know it by: ``marker`` or ``color``."""

    name: str
    marker: MarkerConfig | None = None
    color: ColorConfig | None = None


def find_marker(gray: NDArray[np.uint8], k: Array, distortion: Array, marker: MarkerConfig) -> Array | None:
    """Pose (4, 4) of the thing in the camera frame, from the marker on it; None where it is not (well) seen.

    ``gray``: (h, w). ``k``: (3, 3) pixels. ``distortion``: plumb-bob coefficients.
    """
    corners = _corners(gray, marker)
    if corners is None:
        return None
    half = marker.size / 2
    square = np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]])
    solutions = cv2.solvePnPGeneric(square, corners, k, distortion, flags=cv2.SOLVEPNP_IPPE_SQUARE)
    _, turns, shifts, errors = solutions
    if len(turns) == 0 or float(np.ravel(errors[0])[0]) > marker.max_error:
        return None
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(turns[0])[0]
    pose[:3, 3] = np.ravel(shifts[0]) + pose[:3, :3] @ np.array(marker.offset)
    return pose


def find_color(
    rgb: Image, depth: NDArray[np.float32] | None, k: Array, distortion: Array, camera: Array, color: ColorConfig
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
    ray = np.append(cv2.undistortPoints(centres[largest].reshape(1, 1, 2), k, distortion).ravel(), 1.0)
    distance = _distance(ray, labels == largest, depth, camera, color)
    if distance is None:
        return None
    return np.asarray(camera[:3, :3] @ (ray * distance) + camera[:3, 3])


def find(
    things: list[ThingConfig],
    rgb: Image,
    depth: NDArray[np.float32] | None,
    k: Array,
    distortion: Array,
    camera: Array,
) -> dict[str, Pose]:
    """Pose (7,) in the base frame of each thing that is seen; arguments as those of :func:`find_color`.

    A color says nothing about the orientation: it is the base frame's own.
    """
    found: dict[str, Pose] = {}
    gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    for thing in things:
        if thing.marker is not None:
            in_camera = find_marker(gray, k, distortion, thing.marker)
            if in_camera is not None:
                found[thing.name] = matrix_to_pose(camera @ in_camera)
        elif thing.color is not None:
            position = find_color(rgb, depth, k, distortion, camera, thing.color)
            if position is not None:
                found[thing.name] = np.concatenate([position, [0.0, 0.0, 0.0, 1.0]])
    return found


def _corners(gray: NDArray[np.uint8], marker: MarkerConfig) -> Array | None:
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    dictionary = cv2.aruco.getPredefinedDictionary(DICTIONARIES[marker.dictionary])
    corners, ids, _ = cv2.aruco.ArucoDetector(dictionary, parameters).detectMarkers(gray)
    for four, number in zip(corners, [] if ids is None else np.ravel(ids), strict=True):
        if number == marker.id:
            return np.asarray(four, dtype=np.float64).reshape(4, 2)
    return None


def _mask(rgb: Image, color: ColorConfig) -> NDArray[np.uint8]:
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)  # OpenCV halves the hue to fit a byte
    low, high = (edge % 360.0 / 2.0 for edge in color.hue)
    hue = hsv[..., 0]
    inside = (hue >= low) & (hue <= high) if low <= high else (hue >= low) | (hue <= high)
    vivid = (hsv[..., 1] >= 255 * color.min_saturation) & (hsv[..., 2] >= 255 * color.min_value)
    return np.asarray(inside & vivid, dtype=np.uint8)


def _distance(
    ray: Array, blob: NDArray[np.bool_], depth: NDArray[np.float32] | None, camera: Array, color: ColorConfig
) -> float | None:
    """How many ``ray`` (3,), of z 1, lead from the camera to the thing's centre."""
    if depth is not None:
        # Away from the blob's edge, where depth cameras mix the thing with what is behind it.
        core = cv2.erode(blob.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        seen = depth[core if core.any() else blob]
        seen = seen[np.isfinite(seen)]
        if seen.size:
            return float(np.median(seen)) + color.behind / float(np.linalg.norm(ray))
    if color.height is None:
        return None
    down = float(camera[2, :3] @ ray)
    distance = (color.height - float(camera[2, 3])) / down if abs(down) > 1e-9 else -1.0
    return distance if distance > 0 else None
