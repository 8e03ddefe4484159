"""Pictures of a stand-in camera: a grey table and a marker, projected exactly, so that the truth is known."""

from __future__ import annotations

import cv2
import numpy as np

from varl_robot_env.perception.camera_model import CameraModel
from varl_robot_env.perception.markers import DICTIONARIES, MarkerConfig
from varl_robot_env.types import Array, Image

_FINE = 8  # drawn so many times finer and averaged: edges between pixels
_TABLE, _PAPER = 150, 255  # grey
_MARGIN = 2  # cells of white paper around the marker


def draw_marker(marker: MarkerConfig, pose: Array, lens: CameraModel) -> Image:
    """A picture (h, w, 3) of a marker whose centre is at ``pose`` (4, 4) in the camera frame."""
    dictionary = cv2.aruco.getPredefinedDictionary(DICTIONARIES[marker.dictionary])
    bits = dictionary.markerSize + 2  # and its black border
    cells = np.pad(cv2.aruco.generateImageMarker(dictionary, marker.id, bits), _MARGIN, constant_values=_PAPER)
    step = marker.size / bits
    edges = (np.arange(bits + 2 * _MARGIN + 1) - _MARGIN) * step - marker.size / 2
    grid = np.stack([*np.meshgrid(edges, -edges), np.zeros((len(edges), len(edges)))], axis=-1)
    pixels = lens.project(grid.reshape(-1, 3) @ pose[:3, :3].T + pose[:3, 3])
    # Pixel centres are at whole numbers: half a pixel moves with the finer grid.
    corners = np.rint((pixels.reshape(len(edges), len(edges), 2) + 0.5) * _FINE).astype(np.int32)
    picture = np.full((lens.height * _FINE, lens.width * _FINE), _TABLE, np.uint8)
    for row, line in enumerate(cells):
        for column, value in enumerate(line):
            four = corners[[row, row, row + 1, row + 1], [column, column + 1, column + 1, column]]
            cv2.fillConvexPoly(picture, four, int(value))
    small = cv2.resize(picture, (lens.width, lens.height), interpolation=cv2.INTER_AREA)
    return np.repeat(np.asarray(small, dtype=np.uint8)[..., None], 3, axis=2)
