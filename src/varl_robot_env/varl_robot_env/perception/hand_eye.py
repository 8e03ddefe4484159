"""Hand-eye calibration: where the camera is, on the tool or beside the robot. ROS-free.

OpenCV 5 no longer offers its calibrateHandEye to Python, and its closed forms give no residual to trust or refine.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation
from varl_common.errors import VarlError

from varl_robot_env.types import Array

MIN_SAMPLES = 5
# The tool's turns between samples must leave one plane of axes; below this the answer is mostly noise. Radians.
_MIN_TURN = 0.12
# Metres of position that a radian counts for, when both are minimised together: the ratio of a marker's noise in the
# two (about 1 mm and 0.5 degrees, for one seen some 100 pixels wide).
_LEVER = 0.1

Mount = Literal["tool", "base"]
"""What the camera is fixed to: the tool (the target stands still) or the base (the tool holds the target)."""


@dataclass(frozen=True)
class HandEye:
    """The result of a calibration.

    Attributes:
        camera: (4, 4) the camera's optical frame in the frame of what it is mounted on.
        target: (4, 4) the calibration target in the other frame.
        residual_mm: root mean square over the samples of how far the target is from where it should be, mm.
        residual_deg: likewise its orientation, degrees.
        worst: index of the sample that fits worst.
        worst_mm: how far off the target is in it, mm.
    """

    camera: Array
    target: Array
    residual_mm: float
    residual_deg: float
    worst: int
    worst_mm: float


def calibrate(tools: Sequence[Array], targets: Sequence[Array], mount: Mount) -> HandEye:
    """Solve AX = XB.

    Args:
        tools: (4, 4) each: the tool in the base frame.
        targets: (4, 4) each: the calibration target in the camera frame, at the same moment.
        mount: what the camera is fixed to.

    Closed form of Park and Martin (1994), then Levenberg-Marquardt on the distance between where each sample puts
    the target and where all together put it.

    Raises:
        VarlError: too few samples, or they turn the tool too little to tell the camera's place.
    """
    if len(tools) != len(targets) or len(tools) < MIN_SAMPLES:
        raise VarlError(f"{len(tools)} samples; take at least {MIN_SAMPLES}, better 15, from different directions")
    # With the camera beside the robot the same equation holds with the tool's motion seen backwards.
    hands = list(tools) if mount == "tool" else [np.asarray(np.linalg.inv(tool)) for tool in tools]
    camera = _closed_form(hands, targets)
    target = _mean([hand @ camera @ seen for hand, seen in zip(hands, targets, strict=True)])

    def residuals(twists: Array) -> Array:
        x, y = camera @ _exp(twists[:6]), target @ _exp(twists[6:])
        return np.concatenate([_error(hand @ x @ seen, y) for hand, seen in zip(hands, targets, strict=True)])

    best = least_squares(residuals, np.zeros(12), method="lm").x
    camera, target = camera @ _exp(best[:6]), target @ _exp(best[6:])
    errors = residuals(best).reshape(-1, 6)
    millimetres = 1000.0 * np.linalg.norm(errors[:, :3], axis=1)
    degrees = np.degrees(np.linalg.norm(errors[:, 3:], axis=1) / _LEVER)
    return HandEye(
        camera=camera,
        target=target,
        residual_mm=float(np.sqrt(np.mean(millimetres**2))),
        residual_deg=float(np.sqrt(np.mean(degrees**2))),
        worst=int(np.argmax(millimetres)),
        worst_mm=float(millimetres.max()),
    )


def _closed_form(hands: Sequence[Array], targets: Sequence[Array]) -> Array:
    """X of A X = X B over all pairs of samples (Park and Martin 1994, "Robot sensor calibration: solving AX = XB")."""
    moves = [
        (np.linalg.inv(hands[j]) @ hands[i], targets[j] @ np.linalg.inv(targets[i]))
        for i, j in itertools.combinations(range(len(hands)), 2)
    ]
    hand_turns = np.array([Rotation.from_matrix(a[:3, :3]).as_rotvec() for a, _ in moves])
    camera_turns = np.array([Rotation.from_matrix(b[:3, :3]).as_rotvec() for _, b in moves])
    spread = np.linalg.svd(hand_turns, compute_uv=False) / np.sqrt(len(moves))
    if spread[1] < _MIN_TURN:
        raise VarlError(
            "the samples turn the tool too little, or about one axis only; "
            "tilt it by 20 degrees and more about at least two axes between samples"
        )
    turn = Rotation.align_vectors(hand_turns, camera_turns)[0].as_matrix()
    left = np.concatenate([a[:3, :3] - np.eye(3) for a, _ in moves])
    right = np.concatenate([turn @ b[:3, 3] - a[:3, 3] for a, b in moves])
    x = np.eye(4)
    x[:3, :3] = turn
    x[:3, 3] = np.linalg.lstsq(left, right, rcond=None)[0]
    return x


def _mean(poses: Sequence[Array]) -> Array:
    mean = np.eye(4)
    mean[:3, :3] = Rotation.from_matrix([pose[:3, :3] for pose in poses]).mean().as_matrix()
    mean[:3, 3] = np.mean([pose[:3, 3] for pose in poses], axis=0)
    return mean


def _error(pose: Array, expected: Array) -> Array:
    """(6,): difference in position, m, and in rotation, rad times the lever."""
    turn = Rotation.from_matrix(expected[:3, :3].T @ pose[:3, :3]).as_rotvec()
    return np.concatenate([pose[:3, 3] - expected[:3, 3], _LEVER * turn])


def _exp(twist: Array) -> Array:
    move = np.eye(4)
    move[:3, :3] = Rotation.from_rotvec(twist[3:]).as_matrix()
    move[:3, 3] = twist[:3]
    return move
