"""Pictures as an MP4 that any frame can be found in, and back."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from varl_common.errors import VarlError

_KEYFRAMES = "2"  # frames from one that needs no other to the next, as LeRobot writes them: seeking is cheap
_QUALITY = "20"  # libx264's constant rate factor: no artefact that an eye would see


class VideoWriter:
    """One camera's pictures, episode after episode, at ``fps``."""

    def __init__(self, path: Path, fps: int) -> None:
        """Raises VarlError: av is missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._container, self._fps, self._count = _av().open(str(path), "w"), fps, 0
        self._stream: Any = None

    def add(self, pictures: NDArray[np.uint8]) -> None:
        """Append (n, height, width, 3) pictures. Raises VarlError: their sizes are odd, which the codec cannot."""
        height, width = pictures.shape[1:3]
        if self._stream is None:
            if height % 2 or width % 2:
                raise VarlError(f"pictures of {width}x{height} pixels cannot be a video; expected even numbers")
            options = {"g": _KEYFRAMES, "crf": _QUALITY}
            self._stream = self._container.add_stream("libx264", rate=self._fps, options=options)
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
            self._stream.time_base = Fraction(1, self._fps)
        for picture in pictures:
            frame = _av().VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = self._count, Fraction(1, self._fps)
            self._count += 1
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what is left."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()


def read_pictures(path: Path, first: int, count: int) -> NDArray[np.uint8]:
    """(count, height, width, 3): the pictures of a video from number ``first`` on.

    Raises:
        VarlError: the file is missing or damaged, or has fewer.
    """
    found: list[NDArray[np.uint8]] = []
    with contextlib.suppress(OSError), _av().open(str(path)) as container:  # av's errors are OSErrors, too
        for number, frame in enumerate(container.decode(video=0)):
            if number >= first:
                found.append(frame.to_ndarray(format="rgb24"))
            if len(found) == count:
                break
    if len(found) < count:
        raise VarlError(f"{path} has no pictures {first} to {first + count - 1}; the dataset is not whole")
    return np.stack(found)


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise VarlError("datasets with pictures are videos; pip install av to read and write them") from None
    return av
