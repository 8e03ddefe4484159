"""The picture as the model sees it: upright as it comes, no wider than told, the action's axes drawn in, JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from varl_common.env_description import EnvDescription
from varl_common.frame import Frame
from varl_common.image_codec import decode_depth, decode_image, encode_depth, encode_jpeg

from varl_vlm_advisor.question.config import PictureConfig
from varl_vlm_advisor.question.pointing import picture_size
from varl_vlm_advisor.question.projection import Projection
from varl_vlm_advisor.types import TOOL, State

Image = NDArray[np.uint8]

AXIS_LENGTH = 0.1
"""Metres that a drawn axis is long."""
_YAW_RADIUS = 0.07  # m
# x red, y green, z blue, as RViz draws them.
_COLOURS = {"x": (230, 40, 40), "y": (40, 180, 40), "z": (40, 80, 230)}
_OUTLINE = (255, 255, 255)
_MIRROR_QUALITY = 95  # a picture that is encoded a second time should lose next to nothing


def picture(
    frame: Frame, env: EnvDescription, state: State, form: PictureConfig, convention: str
) -> tuple[bytes, Projection]:
    """Make the JPEG to send to a model that points by ``convention``, and its projection.

    Raises:
        VarlError: the frame cannot be decoded.
    """
    image, projection = _sized(decode_image(frame.jpeg), frame, form, convention)
    if form.draw_axes and projection.pose is not None:
        tool = env.position(TOOL, state.state)
        draw_axes(image, projection, tool)
        if tool is not None and "yaw" in env.action_names:
            draw_yaw(image, projection, tool)
    return encode_jpeg(image, form.quality), projection


def undrawn(frame: Frame, form: PictureConfig, convention: str) -> tuple[bytes, Projection, tuple[int, int]]:
    """:func:`picture` with nothing drawn in, and the frame's own width and height.

    Raises:
        VarlError: the frame cannot be decoded.
    """
    whole = decode_image(frame.jpeg)
    image, projection = _sized(whole, frame, form, convention)
    return encode_jpeg(image, form.quality), projection, (whole.shape[1], whole.shape[0])


def _sized(image: Image, frame: Frame, form: PictureConfig, convention: str) -> tuple[Image, Projection]:
    height, width = image.shape[:2]
    projection = Projection(width, height, frame.k, frame.camera_pose)
    shrink = min(1.0, form.width / width)
    size = picture_size(round(width * shrink), max(1, round(height * shrink)), convention)
    if size != (width, height):
        method = cv2.INTER_AREA if size[0] < width else cv2.INTER_CUBIC
        image = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
        projection = projection.scaled(*size)
    return image, projection


def mirror(frame: Frame) -> Frame:
    """The frame flipped left to right, with the calibration of the flipped picture; it shows the same scene."""
    image = decode_image(frame.jpeg)
    flipped = Projection(image.shape[1], image.shape[0], frame.k, frame.camera_pose).mirrored()
    jpeg = encode_jpeg(image[:, ::-1], _MIRROR_QUALITY)
    depth = decode_depth(frame.depth)
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


def draw_yaw(image: Image, projection: Projection, tool: NDArray[np.float64]) -> None:
    """Draw the way of +yaw about ``tool``, in place: an eighth of a circle from +x on, with a head."""
    angles = np.linspace(0.0, np.pi / 4, 7)
    places = tool + _YAW_RADIUS * np.stack([np.cos(angles), np.sin(angles), np.zeros(7)], 1)
    pixels = [pixel for place in places if (pixel := projection.pixel(place)) is not None]
    if len(pixels) < len(places) or not projection.holds(projection.pixel(tool)):
        return
    thickness = max(1, image.shape[1] // 250)
    for colour, width in ((_OUTLINE, thickness + 2), (_COLOURS["z"], thickness)):
        cv2.polylines(image, [np.round(pixels).astype(np.int32)], False, colour, width, cv2.LINE_AA)
    draw_arrow(image, pixels[-2], pixels[-1], _COLOURS["z"], "+yaw")


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
