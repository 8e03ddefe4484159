"""``varl doctor``: what this machine has for VARL, what it lacks, and what to do about that."""

from __future__ import annotations

import grp
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from varl_common.errors import VarlError
from varl_common.host.terminal import GREEN, RED, YELLOW, mark
from varl_common.tool import run_tool

from varl_bringup.graph.packages import is_installed

_PACKAGES = ("varl_interfaces", "varl_common", "varl_robot_env", "varl_agent", "varl_vlm_advisor")
_PYTHON = ("numpy", "torch", "stable-baselines3", "gymnasium", "mujoco", "pydantic", "rosbags")
# What each is for, and how it is had; none is needed to train in simulation.
_OPTIONAL = {
    "numba": ("the fast update", "pip install numba scipy threadpoolctl"),
    "transformers": ("a vision-language model on this machine", "pip install transformers"),
    "openai": ("a vision-language model behind a server", "pip install openai"),
    "rerun": ("viewer:=rerun", "pip install rerun-sdk"),
    "pyarrow": ("varl dataset", "pip install pyarrow av"),
    "onnxruntime": ("varl export format:=onnx", "pip install onnx onnxscript onnxruntime"),
    "pyrealsense2": ("our RealSense node", "pip install pyrealsense2"),
}
_OPTIONAL_ROS = {"rviz2": "rviz:=true", "joy": "joystick:=gamepad", "controller_manager_msgs": "real controllers"}
_MEMORY = 4.0  # GB: a run with its simulator takes about 2
_SHARED = 0.25  # GB of /dev/shm: four participants' segments of 64 MB
_DISK = 2.0  # GB: a replay of 200,000 rows and checkpoints take less than 1


@dataclass(frozen=True)
class Sign:
    """One thing that was looked at. ``remedy`` is empty where it is well; ``needed``: nothing goes without it."""

    what: str
    words: str
    remedy: str = ""
    needed: bool = True


def diagnose() -> list[Sign]:
    """Look at everything. Nothing is changed and nothing is started but short-lived probes."""
    looks: tuple[Callable[[], list[Sign]], ...] = (
        _python,
        _ros,
        _python_packages,
        _rendering,
        _gpu,
        _memory,
        _permissions,
        _optional,
    )
    return [sign for look in looks for sign in look()]


def _python() -> list[Sign]:
    fits = (3, 11) <= sys.version_info[:2] <= (3, 12)
    return [
        Sign("Python", platform.python_version(), "" if fits else "use Python 3.11 or 3.12: VARL_PYTHON=... make build")
    ]


def _ros() -> list[Sign]:
    distro = os.environ.get("ROS_DISTRO", "")
    signs = [Sign("ROS 2", distro or "not sourced", "" if distro else "source install/setup.bash of the workspace")]
    missing = [package for package in _PACKAGES if not is_installed(package)]
    words = f"lacks {', '.join(missing)}" if missing else f"VARL {_own_version()}"
    return [*signs, Sign("workspace", words, "make build, or colcon build, and source it" if missing else "")]


def _python_packages() -> list[Sign]:
    signs = []
    for name in _PYTHON:
        try:
            signs.append(Sign(name, version(name)))
        except PackageNotFoundError:
            signs.append(Sign(name, "not installed", "python3 tools/setup --packages-only, and activate what it made"))
    return signs


def _rendering() -> list[Sign]:
    """Whether MuJoCo draws a picture, in a process of its own: a driver that is broken ends it."""
    program = (
        "import mujoco; m = mujoco.MjModel.from_xml_string('<mujoco><worldbody><light/></worldbody></mujoco>');"
        "r = mujoco.Renderer(m, 16, 16); d = mujoco.MjData(m); mujoco.mj_forward(m, d); r.update_scene(d); r.render()"
    )
    environment = {"MUJOCO_GL": "egl", **os.environ}
    done = _run([sys.executable, "-c", program], environment)
    remedy = "apt install libegl1 libegl-mesa0 libgl1-mesa-dri; without it a simulator has no camera"
    return [Sign("rendering", f"MuJoCo with {environment['MUJOCO_GL']}", "" if done else remedy, needed=False)]


def _gpu() -> list[Sign]:
    tool = shutil.which("nvidia-smi")
    name = _run([tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]) if tool else ""
    words = name.splitlines()[0] if name else "none, and none is needed: what ships learns on the CPU"
    return [Sign("GPU", words, needed=False)]


def _memory() -> list[Sign]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    signs = [
        Sign(
            "memory",
            f"{total:.0f} GB, {os.cpu_count()} processors",
            "" if total >= _MEMORY else f"expected {_MEMORY:g} GB or more; lower sac.buffer_size",
            needed=False,
        )
    ]
    for what, path, least, remedy in (
        ("shared memory", "/dev/shm", _SHARED, "docker run --shm-size=1g, or --ipc=host"),
        ("disk", ".", _DISK, "free some space, or name a run_dir on another disk"),
    ):
        free = shutil.disk_usage(path).free / 1e9
        signs.append(Sign(what, f"{free:.1f} GB free in {Path(path).resolve()}", "" if free >= least else remedy))
    return signs


def _permissions() -> list[Sign]:
    program = "from varl_common.host.latency import request_realtime_priority as r; print('yes' if r() else '')"
    served = bool(_run([sys.executable, "-c", program]))
    remedy = "add rtprio to /etc/security/limits.d (docs/hardware.md); commands to a real arm may come late"
    signs = [Sign("real-time priority", "granted" if served else "refused", "" if served else remedy, needed=False)]
    groups = {grp.getgrgid(number).gr_name for number in os.getgroups() if _has_name(number)}
    for device, group in (("/dev/video0", "video"), ("/dev/ttyUSB0", "dialout"), ("/dev/ttyACM0", "dialout")):
        if Path(device).exists() and not os.access(device, os.R_OK | os.W_OK) and group not in groups:
            signs.append(
                Sign(device, "may not be used", f"sudo usermod -aG {group} $USER, and log in again", needed=False)
            )
    return signs


def _optional() -> list[Sign]:
    signs = []
    for module, (purpose, remedy) in _OPTIONAL.items():
        there = importlib.util.find_spec(module) is not None
        signs.append(Sign(module, f"for {purpose}", "" if there else remedy, needed=False))
    for package, purpose in _OPTIONAL_ROS.items():
        remedy = f"apt install ros-$ROS_DISTRO-{package.replace('_', '-')}"
        signs.append(Sign(package, f"for {purpose}", "" if is_installed(package) else remedy, needed=False))
    return signs


def _own_version() -> str:
    try:
        return version("varl_common")
    except PackageNotFoundError:
        return "of an unknown version"


def _has_name(number: int) -> bool:
    try:
        grp.getgrgid(number)
    except KeyError:
        return False
    return True


def _run(words: list[str], environment: dict[str, str] | None = None) -> str:
    """What a program prints, or "done"; empty where it fails or hangs."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() or ("done" if environment else "")


def doctor(values: dict[str, str]) -> None:
    """Print what was found. Raises VarlError: something is missing that nothing goes without."""
    signs = diagnose()
    width = max(len(sign.what) for sign in signs)
    for sign in signs:
        shape, colour = ("✓", GREEN) if not sign.remedy else ("✗", RED) if sign.needed else ("!", YELLOW)
        remedy = f": {sign.remedy}" if sign.remedy else ""
        print(f"{mark(shape, colour, sys.stdout)} {sign.what:<{width}}  {sign.words}{remedy}")
    if bad := [sign.what for sign in signs if sign.remedy and sign.needed]:
        raise VarlError(f"VARL does not run here yet for want of {', '.join(bad)}; see what each says above")


def main() -> None:
    """Entry point of the ``doctor`` executable."""
    run_tool("doctor", "What this machine has for VARL, and what it lacks.", (), doctor)
