"""What set-up finds on the machine: the ROS 2 distribution, a Python, a compiler, system libraries."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from report import SetupError, run, say

DISTROS = ("jazzy", "kilted")
PYTHONS = ("3.11", "3.12")


@dataclass(frozen=True)
class Ros:
    """A ROS 2 distribution, and its prefix where an install of it is sourced (None: from wheels)."""

    distro: str
    prefix: Path | None


def find_ros() -> Ros:
    """The distribution named by ROS_DISTRO (jazzy where unset), from the sourced install if there is one."""
    distro = os.environ.get("ROS_DISTRO") or DISTROS[0]
    if distro not in DISTROS:
        raise SetupError(f"ROS_DISTRO={distro} is not supported; set it to one of: {', '.join(DISTROS)}")
    for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        prefix = Path(entry)
        if entry and (prefix / "share/rclpy").is_dir() and not (prefix / "pyvenv.cfg").exists():
            if prefix.name in DISTROS and prefix.name != distro:
                raise SetupError(f"ROS_DISTRO={distro}, but {prefix} is sourced; use a shell without it, or its distro")
            return Ros(distro, prefix)
    if platform.machine() != "x86_64" or not sys.platform.startswith("linux"):
        raise SetupError(
            f"ROS 2 wheels exist for x86-64 Linux only (this is {platform.machine()} {sys.platform}); "
            f"install ROS 2 {distro} and source its setup.bash first"
        )
    return Ros(distro, None)


def find_python(ros: Ros) -> Path:
    """The interpreter to build on: VARL_PYTHON, the sourced ROS 2's own, or the first 3.11 or 3.12 on PATH."""
    chosen = os.environ.get("VARL_PYTHON")
    names = [chosen] if chosen else ["/usr/bin/python3"] if ros.prefix else []
    if not names:
        names = [sys.executable, "python3", *(f"python{version}" for version in PYTHONS)]
    wanted = " or ".join(PYTHONS)
    for name in names:
        found = _base_python(name)
        if found and (found[1] in PYTHONS or ros.prefix):
            return found[0]
    if chosen:
        raise SetupError(f"VARL_PYTHON={chosen} is not a Python {wanted}; point it at one")
    raise SetupError(f"no Python {wanted} on PATH; install one, or set VARL_PYTHON to its path")


def _base_python(name: str) -> tuple[Path, str] | None:
    """Path and major.minor of an interpreter, seen through virtual environments and version-manager shims."""
    code = "import sys; print(sys._base_executable, '%d.%d' % sys.version_info[:2], sep='\\n')"
    try:
        answer = subprocess.run([name, "-c", code], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    path, _, version = answer.strip().partition("\n")
    return (Path(path).resolve(), version) if version else None


@dataclass(frozen=True)
class SystemPackage:
    """A Debian package, how to see that what it brings is there, and whether nothing works without it."""

    name: str
    present: Callable[[], bool]
    needed: bool = True


def install_system_packages(python: Path, log: Path) -> None:
    """Install what is missing when root; otherwise name it with the apt command.

    Raises:
        SetupError: something needed is missing and cannot be installed from here.
    """
    missing = [package for package in _system_packages(python) if not package.present()]
    if not missing:
        return
    names = [package.name for package in missing]
    command = f"apt-get install -y {' '.join(names)}"
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing system packages: {' '.join(names)}")
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        remedy = f"check the network, or run: {command}"
        run(["apt-get", "update"], log, remedy, env)
        run(["apt-get", "install", "-y", "--no-install-recommends", *names], log, remedy, env)
    elif any(package.needed for package in missing):
        raise SetupError(f"system packages are missing; run: sudo {command}")
    else:
        say(f"optional system packages are missing; to have them run: sudo {command}")


def _system_packages(python: Path) -> list[SystemPackage]:
    system_python = python.parent == Path("/usr/bin")
    version = python.resolve().name.removeprefix("python")
    packages = [
        SystemPackage("cmake", lambda: shutil.which("cmake") is not None),
        SystemPackage("g++", lambda: shutil.which("g++") is not None or "CXX" in os.environ),
        SystemPackage("libegl1", lambda: _loads("libEGL.so.1")),
        SystemPackage("libegl-mesa0", lambda: _loads("libEGL_mesa.so.0")),
        SystemPackage("libgl1-mesa-dri", _has_dri_drivers),
        SystemPackage("libusb-1.0-0", lambda: _loads("libusb-1.0.so.0"), needed=False),
        SystemPackage("liburdfdom-tools", lambda: shutil.which("check_urdf") is not None, needed=False),
    ]
    if system_python:
        packages += [
            SystemPackage(f"python{version}-venv", lambda: _runs(python, "import ensurepip")),
            SystemPackage(
                f"python{version}-dev",
                lambda: _runs(
                    python, "import os, sysconfig; os.stat(os.path.join(sysconfig.get_path('include'), 'Python.h'))"
                ),
            ),
        ]
    return packages


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _has_dri_drivers() -> bool:
    return any(Path("/usr/lib").glob("*/dri/*_dri.so")) or any(Path("/usr/lib").glob("*/libgallium*.so"))


def _runs(python: Path, code: str) -> bool:
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0
