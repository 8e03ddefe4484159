"""The colcon workspace: built when something that is not live through a link has changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from host import Ros
from progress import Bar
from report import run, say

_SOURCES = ("src", "launch", "config")
_NOT_SOURCES = {"test", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


def build_workspace(root: Path, home: Path, ros: Ros, environment: str, log: Path, bar: Bar) -> None:
    """Build ``src/`` into ``home/{build,install}`` unless what is there was built of the same sources."""
    stamp = f"{environment} {_digest(root)}"
    stamp_file = home / "install/.varl-stamp"
    if stamp_file.exists() and stamp_file.read_text(encoding="utf-8") == stamp:
        return
    say("building the workspace")
    bar.step("workspace", "^Finished <<<", len(list((root / "src").glob("*/package.xml"))))
    stamp_file.unlink(missing_ok=True)
    command: list[str | Path] = [home / "venv/bin/colcon", "--log-base", home / "log", "build", "--symlink-install"]
    command += ["--base-paths", root / "src", "--build-base", home / "build", "--install-base", home / "install"]
    run(command, log, "correct what it names and run the command again", _build_env(home / "venv", ros))
    _remove_dangling_links(home / "install")
    stamp_file.write_text(stamp, encoding="utf-8")


def _remove_dangling_links(folder: Path) -> None:
    """colcon leaves the links to modules that have moved; whoever looks through a package's files trips over them."""
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.exists():
            path.unlink()


def _build_env(venv: Path, ros: Ros) -> dict[str, str]:
    """The environment of an activated venv on top of its ROS 2 prefix, and of no other workspace."""
    prefix = str(ros.prefix or venv)
    return os.environ | {
        "VIRTUAL_ENV": str(venv),
        "PATH": f"{venv}/bin:{os.environ['PATH']}",
        "AMENT_PREFIX_PATH": prefix,
        "CMAKE_PREFIX_PATH": prefix,
        "COLCON_PREFIX_PATH": "",
        "COLCON_PYTHON_EXECUTABLE": f"{venv}/bin/python",
    }


def _digest(root: Path) -> str:
    """Names of all source files, and the content of those that a build copies or compiles.

    Python modules are linked into the workspace, so that editing one needs no build.
    """
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for path in sorted((root / folder).rglob("*")):
            parts = path.relative_to(root).parts
            if path.is_file() and not _NOT_SOURCES.intersection(parts) and not any(".egg-info" in p for p in parts):
                digest.update(f"{path.relative_to(root)}\n".encode())
                if path.suffix != ".py" or path.name == "setup.py":
                    digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
