"""A RealSense camera through pyrealsense2: color, depth aligned to it, intrinsics; lost cameras are found again.

For machines without the realsense2_camera driver. ROS-free.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from varl_common.config import Config
from varl_common.errors import VarlError

from varl_robot_env.perception.camera_model import CameraModel


class RealSenseConfig(Config):
    """Which camera, and how it streams."""

    serial: str = Field(default="", description="serial number of the camera; empty: the first one found")
    recording: str = Field(default="", description="a .db3 to play once instead of a camera; empty: none")
    width: int = Field(default=640, gt=0, description="pixels")
    height: int = Field(default=480, gt=0, description="pixels")
    fps: int = Field(default=30, gt=0, description="frames a second, one of the camera's own rates")
    lost_after: float = Field(default=1.0, gt=0, description="seconds without a frame after which to reopen")
    retry_period: float = Field(default=2.0, gt=0, description="seconds between two attempts to open it")


@dataclass(frozen=True)
class RgbdFrame:
    """One instant.

    ``color``: (h, w, 3) uint8 RGB. ``depth``: (h, w) uint16 millimetres in the color camera's view, 0 where unknown.
    """

    color: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    lens: CameraModel
    number: int


@dataclass
class CameraHealth:
    """What a person wants to know of a camera: frames seen, frames the camera made that never came, times reopened."""

    frames: int = 0
    drops: int = 0
    reconnects: int = 0
    error: str = "not opened yet"  # empty while frames come


class RealSense:
    """A camera that :meth:`poll` opens, reads, and reopens after it was lost."""

    def __init__(self, config: RealSenseConfig) -> None:
        """Raises VarlError where pyrealsense2 or a system library that it needs is missing."""
        self.config = config
        self.health = CameraHealth()
        self._rs = _import_pyrealsense2()
        self._align = self._rs.align(self._rs.stream.color)
        self._pipeline: Any = None
        self._to_mm = 1.0
        self._last_number: int | None = None
        self._last_frame = 0.0  # monotonic
        self._next_try = 0.0  # monotonic

    def poll(self, timeout: float) -> RgbdFrame | None:
        """The next frame, or None where none came within ``timeout`` seconds; :attr:`health` tells why."""
        if self._pipeline is None and not self._open(timeout):
            return None
        try:
            arrived, frames = self._pipeline.try_wait_for_frames(int(timeout * 1000))
        except RuntimeError as error:
            self._lost(str(error))
            return None
        if not arrived:
            silent = time.monotonic() - self._last_frame
            if silent > self.config.lost_after:
                self._lost(f"no frame for {silent:.1f} s")
            return None
        return self._convert(frames)

    def close(self) -> None:
        """Stop streaming. A later poll opens the camera again."""
        if self._pipeline is not None:
            with contextlib.suppress(RuntimeError):  # it was unplugged: there is nothing left to stop
                self._pipeline.stop()
            self._pipeline = None

    def _open(self, timeout: float) -> bool:
        wait = self._next_try - time.monotonic()
        if wait > 0:
            time.sleep(min(wait, timeout))
            return False
        rs, config = self._rs, self.config
        there = [device.get_info(rs.camera_info.serial_number) for device in rs.context().query_devices()]
        wanted = rs.config()
        if config.recording:
            rs.config.enable_device_from_file(wanted, config.recording, repeat_playback=False)
        elif not there or (config.serial and config.serial not in there):
            # pipeline.start() would wait a quarter of a minute for it
            self._lost(f"camera {config.serial or '(any)'} is not connected; there are: {', '.join(there) or 'none'}")
            return False
        elif config.serial:
            wanted.enable_device(config.serial)
        wanted.enable_stream(rs.stream.color, config.width, config.height, rs.format.rgb8, config.fps)
        wanted.enable_stream(rs.stream.depth, config.width, config.height, rs.format.z16, config.fps)
        pipeline = rs.pipeline()
        try:
            profile = pipeline.start(wanted)
            scale = profile.get_device().first_depth_sensor().get_depth_scale()
        except RuntimeError as error:
            self._lost(f"{error}; check that {config.width}x{config.height} at {config.fps} Hz is one of its modes")
            return False
        self._pipeline = pipeline
        self._to_mm = 1000.0 * scale
        self._last_number = None
        self._last_frame = time.monotonic()
        return True

    def _convert(self, frames: Any) -> RgbdFrame | None:
        frames = self._align.process(frames)
        color, depth = frames.get_color_frame(), frames.get_depth_frame()
        if not color or not depth:
            return None
        number = color.get_frame_number()
        if self._last_number is not None and number > self._last_number + 1:
            self.health.drops += number - self._last_number - 1
        self._last_number = number
        self._last_frame = time.monotonic()
        self.health.frames += 1
        self.health.error = ""
        millimetres = np.asanyarray(depth.get_data())
        if abs(self._to_mm - 1.0) > 1e-6:
            millimetres = np.minimum(np.rint(millimetres * self._to_mm), 65535).astype(np.uint16)
        lens = self._lens(color.get_profile().as_video_stream_profile().get_intrinsics())
        return RgbdFrame(np.array(color.get_data()), np.array(millimetres), lens, number)

    def _lens(self, of: Any) -> CameraModel:
        """As realsense2_camera publishes it: Kannala-Brandt lenses are equidistant, all others count as plumb-bob."""
        k = np.array([[of.fx, 0.0, of.ppx], [0.0, of.fy, of.ppy], [0.0, 0.0, 1.0]])
        coefficients, fisheye = np.array(of.coeffs, np.float64), of.model == self._rs.distortion.kannala_brandt4
        return CameraModel(of.width, of.height, k, coefficients[:4] if fisheye else coefficients, fisheye)

    def _lost(self, why: str) -> None:
        if not self.health.error:
            self.health.reconnects += 1
        self.health.error = why
        self.close()
        self._next_try = time.monotonic() + self.config.retry_period


def _import_pyrealsense2() -> Any:
    try:
        import pyrealsense2
    except ImportError as error:
        raise VarlError(
            f"pyrealsense2 cannot be imported ({error}); install it with 'pip install pyrealsense2' "
            "and its system library with 'apt install libusb-1.0-0'"
        ) from None
    return pyrealsense2
