"""A camera of the simulated world: pictures, depth, and where it stands."""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from varl_robot_env.headless_mujoco import CANNOT_RENDER, mujoco
from varl_robot_env.types import Array, Depth, Image

_FARTHEST = 10.0  # m: beyond it a depth camera sees nothing


class Camera:
    """A camera of a MuJoCo model.

    The renderer is made at the first picture, and lives in a thread of its own: an OpenGL context belongs to one.

    Attributes:
        error: None while the camera works, else a line that says why there are no pictures and what to do.
        k: (3, 3) intrinsic matrix, pixels.
        pose: (7,) of the optical frame (z ahead, x right, y down) in the world.
    """

    def __init__(self, model: Any, name: str, width: int, height: int) -> None:
        self.name, self.error = name, CANNOT_RENDER
        self._model, self._size = model, (height, width)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"render-{name}")
        self._renderer: Any = None
        self._freed: weakref.finalize[[], Camera] | None = None
        self.calibrate()

    def calibrate(self) -> None:
        """Read ``k`` and ``pose`` from the model again: where it was changed, the camera has another place."""
        height, width = self._size
        camera = self._model.camera(self.name)
        focal = height / 2 / np.tan(np.radians(camera.fovy[0]) / 2)
        # A pixel's number is that of its middle, as camera_info and OpenCV have it.
        self.k = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
        self.pose = np.concatenate([camera.pos, _optical(camera.quat)])

    def render(self, data: Any) -> Image | None:
        """(height, width, 3) uint8 RGB of the state in ``data`` (mujoco.MjData), or None where ``error`` says why."""
        return self._in_thread(self._render, data)

    def render_depth(self, data: Any) -> Depth | None:
        """(height, width) uint16 millimetres along the optical axis, 0 beyond 10 m; None where ``error`` says why."""
        return self._in_thread(self._render_depth, data)

    def render_parts(self, data: Any) -> NDArray[np.int32] | None:
        """(height, width) number of the geom that each pixel shows, -1 for none; None where ``error`` says why."""
        return self._in_thread(self._render_parts, data)

    def _in_thread(self, render: Callable[[Any], Any], data: Any) -> Any:
        if self.error is not None:
            return None
        try:
            return self._thread.submit(render, data).result()
        except Exception as problem:  # every GL stack raises types of its own
            self.error = f"this machine's EGL cannot render, so there are no camera frames ({problem!r})"
            return None

    def close(self) -> None:
        """Free the renderer."""
        if self._freed is not None and self._freed.alive:
            self._thread.submit(self._freed).result()
            atexit.unregister(self._freed)
        self._thread.shutdown()

    def _look_at(self, data: Any) -> Any:
        if self._renderer is None:
            self._renderer = mujoco.Renderer(self._model, *self._size)
            # Also of a camera that nobody closes. At the interpreter's end what was registered last is called first:
            # this before MuJoCo takes EGL away, of which a finalizer's own turn is not sure.
            self._freed = weakref.finalize(self, self._renderer.close)
            self._freed.atexit = False
            atexit.register(self._freed)
        self._renderer.update_scene(data, self.name)
        return self._renderer

    def _render(self, data: Any) -> Image:
        return np.asarray(self._look_at(data).render(), dtype=np.uint8)

    def _render_depth(self, data: Any) -> Depth:
        renderer = self._look_at(data)
        renderer.enable_depth_rendering()
        metres = renderer.render()
        renderer.disable_depth_rendering()
        return np.where(metres < _FARTHEST, np.rint(1000 * metres), 0).astype(np.uint16)

    def _render_parts(self, data: Any) -> NDArray[np.int32]:
        renderer = self._look_at(data)
        renderer.enable_segmentation_rendering()
        numbers, kinds = np.moveaxis(renderer.render(), 2, 0)
        renderer.disable_segmentation_rendering()
        return np.where(kinds == mujoco.mjtObj.mjOBJ_GEOM, numbers, -1)


def _optical(quaternion: Array) -> Array:
    """Quaternion x, y, z, w of the optical frame of a MuJoCo camera (w, x, y, z; it looks along -z, y up)."""
    turned = np.empty(4)
    mujoco.mju_mulQuat(turned, np.asarray(quaternion), np.array([0.0, 1.0, 0.0, 0.0]))
    return turned[[1, 2, 3, 0]]
