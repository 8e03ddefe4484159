"""MuJoCo, imported so that it renders headless where it can and still simulates where it cannot."""

import ctypes.util
import os

if os.environ.setdefault("MUJOCO_GL", "egl") == "egl" and ctypes.util.find_library("EGL") is None:
    # MuJoCo would refuse to be imported at all.
    os.environ["MUJOCO_GL"] = "disabled"
    CANNOT_RENDER: str | None = (
        "libEGL is missing, so there are no camera frames; apt-get install libegl1 libgl1-mesa-dri"
    )
else:
    CANNOT_RENDER = None

import mujoco

__all__ = ["CANNOT_RENDER", "mujoco"]
