"""Pictures between sensor_msgs/Image and numpy, without a copy where the message allows it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from varl_common.errors import VarlError

# encoding: (type of an element, channels)
_ENCODINGS: dict[str, tuple[Any, int]] = {
    "rgb8": (np.uint8, 3),
    "bgr8": (np.uint8, 3),
    "rgba8": (np.uint8, 4),
    "bgra8": (np.uint8, 4),
    "mono8": (np.uint8, 1),
    "16UC1": (np.uint16, 1),
    "mono16": (np.uint16, 1),
    "32FC1": (np.float32, 1),
}


def to_image(pixels: NDArray[Any], encoding: str, header: Header) -> Image:
    """``pixels`` (h, w) or (h, w, channels), of the type that ``encoding`` names, as a message."""
    pixels = np.ascontiguousarray(pixels)
    message = Image(header=header, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    message.step = pixels.strides[0]
    message.data.frombytes(pixels.data.cast("B"))  # a thousand times faster than to assign an array
    return message


def color_pixels(message: Image) -> NDArray[np.uint8]:
    """The picture as (h, w, 3) uint8 RGB, whatever color encoding the driver chose.

    Raises:
        VarlError: the encoding is not one of a color camera.
    """
    pixels = _pixels(message)
    if message.encoding == "mono8":
        return np.repeat(pixels[..., None], 3, axis=2)
    if message.encoding in ("rgb8", "rgba8"):
        return pixels[..., :3]
    if message.encoding in ("bgr8", "bgra8"):
        return pixels[..., 2::-1]
    raise VarlError(f"a color picture of encoding {message.encoding!r} is not supported; set the driver to 'rgb8'")


def depth_metres(message: Image) -> NDArray[np.float32]:
    """The depth as (h, w) float32 metres, NaN where unknown: from 16UC1 millimetres (drivers) or 32FC1 metres (Gazebo).

    Raises:
        VarlError: the encoding is not one of a depth camera.
    """
    pixels = _pixels(message)
    if message.encoding in ("16UC1", "mono16"):
        metres = pixels.astype(np.float32) * np.float32(0.001)
    elif message.encoding == "32FC1":
        metres = pixels.astype(np.float32)
    else:
        raise VarlError(f"a depth picture of encoding {message.encoding!r} is not supported; expected 16UC1 or 32FC1")
    return np.where(np.isfinite(metres) & (metres > 0), metres, np.float32(np.nan))


def _pixels(message: Image) -> NDArray[Any]:
    if message.encoding not in _ENCODINGS:
        raise VarlError(f"image encoding {message.encoding!r} is not supported; known: {', '.join(_ENCODINGS)}")
    if not message.width or not message.height:
        raise VarlError(
            f"a picture of {message.width}x{message.height} pixels shows nothing; check the camera's driver"
        )
    kind, channels = _ENCODINGS[message.encoding]
    kind = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    rows = np.frombuffer(message.data, np.uint8)
    if message.step < message.width * channels * kind.itemsize or rows.size != message.height * message.step:
        raise VarlError(
            f"an image of {message.width}x{message.height} {message.encoding} cannot have a step of {message.step} "
            f"and {rows.size} bytes; check the camera's driver"
        )
    rows = rows.reshape(message.height, message.step)[:, : message.width * channels * kind.itemsize]
    shape = (message.height, message.width) if channels == 1 else (message.height, message.width, channels)
    return np.ascontiguousarray(rows).view(kind).reshape(shape)
