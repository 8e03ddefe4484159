"""The picture as the model sees it: upright as it comes, no wider than told, the action's axes drawn in, JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from varl_vlm_advisor.question.projection import Projection
from varl_vlm_advisor.types import TOOL, EnvDescription, Frame, State

Image = NDArray[np.uint8]
Depth = NDArray[np.uint16]

AXIS_LENGTH = 0.1
"""Metres that a drawn axis is long."""
# x red, y green, z blue, as RViz draws them; OpenCV's order is blue, green, red.
_COLOURS = {"x": (40, 40, 230), "y": (40, 180, 40), "z": (230, 80, 40)}
_OUTLINE = (255, 255, 255)


class UnreadablePicture(Exception):
    """The frame's bytes are not a picture."""


def picture(
    frame: Frame, env: EnvDescription, state: State, width: int, quality: int, draw: bool
) -> tuple[bytes, Projection]:
    """Make the JPEG to send, at most ``width`` px wide, and its projection.

    Raises:
        UnreadablePicture: the frame cannot be decoded.
    """
    image = decode(frame.jpeg)
    height, full = image.shape[:2]
    projection = Projection(full, height, frame.k, frame.camera_pose)
    if full > width:
        height = max(1, round(height * width / full))
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        projection = projection.scaled(width, height)
    if draw and projection.pose is not None:
        draw_axes(image, projection, env.position(TOOL, state.state))
    return encode(image, quality), projection


def decode(data: bytes) -> Image:
    """A JPEG's or PNG's pixels, shape (height, width, 3), blue-green-red.

    Raises:
        UnreadablePicture: it is neither.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise UnreadablePicture("the frame is not a readable JPEG or PNG")
    return np.asarray(image, np.uint8)


def encode(image: Image, quality: int) -> bytes:
    """``image`` as JPEG."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def decode_depth(frame: Frame) -> Depth | None:
    """Millimetres, shape (height, width) uint16, 0 where not known; None where the frame has none that can be read."""
    image = cv2.imdecode(np.frombuffer(frame.depth, np.uint8), cv2.IMREAD_UNCHANGED) if frame.depth else None
    if image is None or image.dtype != np.uint16 or image.ndim != 2:
        return None
    return np.asarray(image, np.uint16)


def encode_depth(millimetres: Depth) -> bytes:
    """``millimetres`` as PNG of 16 bit."""
    return cv2.imencode(".png", np.ascontiguousarray(millimetres))[1].tobytes()


def mirror(frame: Frame) -> Frame:
    """The frame flipped left to right, with the calibration of the flipped picture; it shows the same scene."""
    image = decode(frame.jpeg)
    flipped = Projection(image.shape[1], image.shape[0], frame.k, frame.camera_pose).mirrored()
    jpeg = encode(np.ascontiguousarray(image[:, ::-1]), 95)
    depth = decode_depth(frame)
    png = b"" if depth is None else encode_depth(depth[:, ::-1])
    return Frame(frame.camera, jpeg, png, flipped.k, frame.camera_pose)


def draw_axes(image: Image, projection: Projection, tool: NDArray[np.float64] | None) -> None:
    """Draw the base frame's +x, +y, +z, in place, at ``tool`` where it is in sight, else in a corner."""
    axes = np.eye(3)
    start = projection.pixel(tool) if tool is not None else None
    if tool is not None and start is not None and projection.holds(start):
        ends = [projection.pixel(tool + AXIS_LENGTH * axis) for axis in axes]
    else:
        view = projection.image_axes()
        assert view is not None
        length = 0.12 * projection.width
        start = np.array([1.4 * length, projection.height - 1.4 * length])
        ends = [start + length * np.array([view[0] @ axis, -(view[1] @ axis)]) for axis in axes]
    for name, end in zip("xyz", ends, strict=True):
        if end is not None:
            draw_arrow(image, start, end, _COLOURS[name], f"+{name}")


def draw_arrow(
    image: Image,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    colour: tuple[int, int, int],
    label: str = "",
    weight: int = 1,
) -> None:
    """Draw an outlined arrow between two pixels, in place, ``weight`` times as thick, with ``label`` at its head."""
    thickness = weight * max(1, image.shape[1] // 250)
    ends = [tuple(round(float(value)) for value in np.clip(pixel, -9999, 9999)) for pixel in (start, end)]
    cv2.arrowedLine(image, ends[0], ends[1], _OUTLINE, thickness + 2, cv2.LINE_AA, tipLength=0.25)
    cv2.arrowedLine(image, ends[0], ends[1], colour, thickness, cv2.LINE_AA, tipLength=0.25)
    if label:
        place, scale = (ends[1][0] + 4, ends[1][1] - 4), image.shape[1] / 1100
        cv2.putText(image, label, place, cv2.FONT_HERSHEY_SIMPLEX, scale, _OUTLINE, thickness + 2, cv2.LINE_AA)
        cv2.putText(image, label, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)
