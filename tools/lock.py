"""Make ``requirements/{<distro>,python}.lock`` anew from the ``.in`` files: ``python3 tools/lock.py jazzy``.

Resolves in a fresh virtual environment of the Python that runs it. ROS 2 packages and what only they need go to the
distribution's lock, so that a sourced ROS 2 install is not shadowed; everything else goes to ``python.lock``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements"
# Needed by ROS 2's build tools only; an installed ROS 2 brings its own.
ROS_TOOLS = {"catkin-pkg", "empy", "lark-parser"}
# Torch has a lock of its own (with the CUDA packages its build wants, if any); pip is the venv's.
NOT_LOCKED = ("torch", "pip", "triton", "nvidia-", "cuda-")


def resolve(distro: str) -> dict[str, str]:
    """Versions of all packages that the ``.in`` files and the torch lock lead to, by normalised name."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip"]
        subprocess.run([*pip, "install", "-q", "-r", REQUIREMENTS / "torch.lock"], check=True)
        inputs = [word for name in (distro, "python") for word in ("-r", REQUIREMENTS / f"{name}.in")]
        subprocess.run([*pip, "install", "-q", *inputs], check=True)
        frozen = subprocess.run([*pip, "list", "--format", "freeze"], check=True, capture_output=True, text=True).stdout
    pairs = (line.split("==") for line in frozen.splitlines())
    return {name.lower().replace("_", "-"): version.split("+")[0] for name, version in pairs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("distro", choices=("jazzy", "kilted"))
    distro = parser.parse_args().distro
    versions = resolve(distro)
    # A ROS 2 wheel also registers the Python packages inside it under their own names.
    inner = {name for name in versions if f"ros-{name}" in versions} | {"ament-cmake-test"}
    names = sorted(name for name in versions if name not in inner and not name.startswith(NOT_LOCKED))
    ros = {name for name in names if name.startswith("ros-")} | ROS_TOOLS
    for lock, members in ((distro, sorted(ros)), ("python", [name for name in names if name not in ros])):
        header = f"# Made by tools/lock.py from {lock}.in; same versions on Python 3.11 and 3.12.\n"
        lines = "".join(f"{name}=={versions[name]}\n" for name in members)
        (REQUIREMENTS / f"{lock}.lock").write_text(header + lines, encoding="utf-8")


if __name__ == "__main__":
    main()
