"""What the sourced ROS 2 environment holds."""

from __future__ import annotations

import shutil
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from varl_common.errors import VarlError


def is_installed(package: str) -> bool:
    """Whether a ROS 2 package is in the sourced environment."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True


def prefix(package: str) -> Path:
    """Where an installed ROS 2 package lies: the folder that holds ``lib`` and ``share``."""
    return Path(get_package_prefix(package))


def find_program(name: str) -> Path:
    """A program on PATH.

    Raises:
        VarlError: there is none of that name.
    """
    path = shutil.which(name)
    if path is None:
        raise VarlError(f"the program {name} is not on PATH; install it, or source the environment that has it")
    return Path(path)


def find_executable(package: str, executable: str) -> Path:
    """The program that ``ros2 run <package> <executable>`` would start.

    Raises:
        VarlError: it is not installed.
    """
    if not is_installed(package):
        raise VarlError(f"package {package} is not in the sourced environment; build the workspace and source it")
    path = prefix(package) / "lib" / package / executable
    if not path.is_file():
        raise VarlError(f"{package} has no executable {executable!r} (expected {path}); build the workspace again")
    return path
