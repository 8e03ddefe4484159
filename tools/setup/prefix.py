"""Makes the virtual environment that ROS 2 wheels were installed into a ROS 2 prefix that colcon can build on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

_SETUP = """\
# Puts this ROS 2 prefix (the virtual environment itself) in front, as /opt/ros/{distro}/setup.sh does.
export ROS_DISTRO={distro} ROS_VERSION=2 ROS_PYTHON_VERSION=3
for variable in AMENT_PREFIX_PATH CMAKE_PREFIX_PATH; do
  eval "current=\\${{$variable:-}}"
  case ":$current:" in
    *":{prefix}:"*) ;;
    *) export $variable="{prefix}${{current:+:$current}}" ;;
  esac
done
case ":$PATH:" in
  *":{prefix}/bin:"*) ;;
  *) export PATH="{prefix}/bin:$PATH" ;;
esac
unset variable current
"""


def header_folders(prefix: Path) -> tuple[str, str]:
    """Where the headers of the environment's Python and numpy are."""
    code = "import numpy, sysconfig; print(sysconfig.get_path('include'), numpy.get_include(), sep='\\n')"
    answer = subprocess.run([prefix / "bin/python", "-c", code], capture_output=True, text=True, check=True).stdout
    python, numpy = answer.splitlines()
    return python, numpy


def repair_cmake_exports(prefix: Path, python_headers: str, numpy_headers: str) -> None:
    """Point the wheels' CMake exports, which name their build machine's headers, at those that are here."""
    for file in prefix.glob("share/*/cmake/*.cmake"):
        text = file.read_text(encoding="utf-8")
        repaired = re.sub(r"/opt/[^;\"\s]*/site-packages/numpy/(?:_core|core)/include", numpy_headers, text)
        repaired = re.sub(r"/opt/(?:python|_internal)/[^;\"\s]*/include/python3\.\d+", python_headers, repaired)
        if repaired != text:
            file.write_text(repaired, encoding="utf-8")


def write_setup_files(prefix: Path, distro: str) -> None:
    """Write setup.* and local_setup.*, so that a workspace built on this prefix chains it as its underlay."""
    for name in ("setup", "local_setup"):
        for shell in ("sh", "bash", "zsh"):
            (prefix / f"{name}.{shell}").write_text(_SETUP.format(prefix=prefix, distro=distro), encoding="utf-8")
