"""A gripper followed through a video: corners on it by optical flow, lifted by depth to metres."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

_CORNERS, _FEWEST = 24, 2  # sought, and how many are still to be seen for the point to count as seen
_APART = 0.02  # m between the corners' votes
_LEAP = 0.08  # m from frame to frame: what goes further has slipped to something else


@dataclass(frozen=True)
class Shot:
    """One frame: gray (h, w) uint8, depth (h, w) metres along the line of sight."""

    gray: np.ndarray
    depth: np.ndarray


@dataclass(frozen=True)
class Camera:
    """A pinhole that stands still: focal length in pixels, middle (u, v), pose (4, 4) of it in the base frame."""

    focal: float
    middle: np.ndarray
    pose: np.ndarray

    def project(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) metres to (n, 2) pixels."""
        seen = (points - self.pose[:3, 3]) @ self.pose[:3, :3]
        return self.middle + self.focal * seen[:, :2] / seen[:, 2:]

    def lift(self, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """(n, 2) pixels on a frame's depth to (n, 3) metres; nan outside of the frame."""
        columns, rows = pixels.round().astype(int).T
        inside = (columns >= 0) & (rows >= 0) & (columns < depth.shape[1]) & (rows < depth.shape[0])
        along = np.full(len(pixels), np.nan)
        along[inside] = depth[rows[inside], columns[inside]]
        seen = np.column_stack([(pixels - self.middle) / self.focal, np.ones(len(pixels))]) * along[:, None]
        return seen @ self.pose[:3, :3].T + self.pose[:3, 3]


def follow(shots: Sequence[Shot], camera: Camera, point: np.ndarray, near: float) -> np.ndarray:
    """(frames, 3) metres where ``point`` (3,), known in the first frame, is in each; nan once it is lost.

    What is followed are corners within ``near`` metres of it; the median of their ways is its own, as a
    gripper does not turn here.
    """
    path = np.full((len(shots), 3), np.nan)
    path[0] = point
    pixel, first = camera.project(point[None])[0], shots[0]
    mask: Any = np.zeros_like(first.gray)
    around = int(camera.focal * near / max(float(np.linalg.norm(point - camera.pose[:3, 3])), 0.1))
    cv2.circle(mask, (int(pixel[0]), int(pixel[1])), around, 255, -1)
    corners = cv2.goodFeaturesToTrack(first.gray, 4 * _CORNERS, 0.01, 3, mask=mask)
    if corners is None:
        return path
    places = camera.lift(corners[:, 0], first.depth)
    corners, places = (part[np.linalg.norm(places - point, axis=1) < near][:_CORNERS] for part in (corners, places))
    offsets = places - point
    flow: Any = cv2.calcOpticalFlowPyrLK  # its stubs want an array in the place of None
    for k, (before, shot) in enumerate(itertools.pairwise(shots), 1):
        if len(corners) < _FEWEST:
            break
        moved, status, _ = flow(before.gray, shot.gray, corners, None, winSize=(15, 15), maxLevel=3)
        votes = camera.lift(moved[:, 0], shot.depth) - offsets
        middle = np.nanmedian(votes, axis=0)
        kept = (status[:, 0] == 1) & (np.linalg.norm(votes - middle, axis=1) < _APART)
        if kept.sum() < _FEWEST or np.linalg.norm(middle - path[k - 1]) > _LEAP:
            break
        corners, offsets, path[k] = moved[kept], offsets[kept], np.median(votes[kept], axis=0)
    return path
