"""Pictures and depth as the bytes that frames carry: JPEG, and PNG of 16 bit."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from varl_common.errors import VarlError

_JPEG_QUALITY = 90  # of 100: edges stay sharp for a model that reads them, at a third of the bytes of 98
_PNG_COMPRESSION = 1  # of 9: the higher ones take far longer for little


def encode_jpeg(rgb: NDArray[np.uint8], quality: int = _JPEG_QUALITY) -> bytes:
    """JPEG of (height, width, 3) uint8 RGB.

    Raises:
        VarlError: the picture has no pixels.
    """
    if not rgb.size:
        raise VarlError(f"a picture of {rgb.shape[1]}x{rgb.shape[0]} pixels has nothing to encode; look at the camera")
    bgr = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR)
    return _encoded(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 RGB of a JPEG or PNG.

    Raises:
        VarlError: it is neither.
    """
    bgr: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if bgr is None:
        raise VarlError("the frame is not a readable JPEG or PNG")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def encode_depth(millimetres: NDArray[np.uint16]) -> bytes:
    """16-bit PNG of (height, width) uint16.

    Raises:
        VarlError: the picture has no pixels.
    """
    if not millimetres.size:
        raise VarlError("a depth picture without pixels has nothing to encode; look at the camera")
    pixels = np.ascontiguousarray(millimetres)
    return _encoded(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_COMPRESSION])


def _encoded(kind: str, pixels: NDArray[Any], how: list[int]) -> bytes:
    """What OpenCV makes of ``pixels``, which a JPEG holds up to 65,500 of in a row.

    Raises:
        VarlError: it cannot.
    """
    done, data = cv2.imencode(kind, pixels, how)
    if not done:
        height, width = pixels.shape[:2]
        raise VarlError(f"a picture of {width}x{height} pixels cannot be encoded; look at the camera")
    return data.tobytes()


def decode_depth(png: bytes) -> NDArray[np.uint16] | None:
    """(height, width) uint16 millimetres, 0 where not known; None where ``png`` holds no depth that can be read."""
    image: Any = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED) if png else None
    if image is None or image.dtype != np.uint16 or image.ndim != 2:
        return None
    return np.asarray(image, np.uint16)
