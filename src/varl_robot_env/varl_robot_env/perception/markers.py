"""Where a thing is that carries a printed marker: its pose in the camera frame (z ahead, x right, y down)."""

from __future__ import annotations

from typing import Annotated, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, field_validator, model_validator
from varl_common.config import Config
from varl_common.errors import did_you_mean

from varl_robot_env.perception.camera_model import CameraModel
from varl_robot_env.types import Array

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
    ambiguity: Annotated[float, Field(ge=1)] = 3.0
    """Where the other way in which the marker could be tilted has less than so many times the reprojection error of the
    better one, the two fit nearly alike, and the sighting does not count; 1: the better one always does."""

    @field_validator("dictionary")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in DICTIONARIES:
            raise ValueError(f"unknown marker dictionary; {did_you_mean(value, list(DICTIONARIES))}")
        return value

    @model_validator(mode="after")
    def _is_in_the_dictionary(self) -> Self:
        count = len(cv2.aruco.getPredefinedDictionary(DICTIONARIES[self.dictionary]).bytesList)
        if self.id >= count:
            raise ValueError(f"{self.dictionary} has the markers 0 to {count - 1}, not {self.id}")
        return self


def find_marker(gray: NDArray[np.uint8], lens: CameraModel, marker: MarkerConfig) -> Array | None:
    """Pose (4, 4) of the thing in the camera frame, from the marker on it; None where it is not (well) seen.

    ``gray``: (h, w) of the camera ``lens``.
    """
    corners = _corners(gray, marker)
    if corners is None:
        return None
    half = marker.size / 2
    square = np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]])
    solutions = cv2.solvePnPGeneric(
        square, lens.straighten(corners), lens.k, np.zeros(5), flags=cv2.SOLVEPNP_IPPE_SQUARE
    )
    _, turns, shifts, errors = solutions
    fits = np.ravel(errors)
    if len(turns) == 0 or fits[0] > marker.max_error:
        return None
    # Seen from afar or from its front, a square tilted one way looks like one tilted the other way; noise then chooses.
    if len(turns) > 1 and fits[1] < marker.ambiguity * fits[0]:
        return None
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(turns[0])[0]
    pose[:3, 3] = np.ravel(shifts[0]) + pose[:3, :3] @ np.array(marker.offset)
    return pose


def _corners(gray: NDArray[np.uint8], marker: MarkerConfig) -> Array | None:
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    dictionary = cv2.aruco.getPredefinedDictionary(DICTIONARIES[marker.dictionary])
    corners, ids, _ = cv2.aruco.ArucoDetector(dictionary, parameters).detectMarkers(gray)
    for four, number in zip(corners, [] if ids is None else np.ravel(ids), strict=True):
        if number == marker.id:
            return np.asarray(four, dtype=np.float64).reshape(4, 2)
    return None
