"""Build the site into docs/_build, every warning an error: ``python3 docs/build.py``.

It has an environment of its own, .ros/docs (requirements/docs.lock; some seconds, once), as the site is drawn from the
source without importing ROS 2, PyTorch or MuJoCo. ``--lock`` makes the lock anew from docs.in.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".ros/docs"
LOCK = ROOT / "requirements/docs.lock"


def environment() -> Path:
    """The Python of the site's environment, made where it is not there or not that of the lock."""
    python, made_of = VENV / "bin/python", VENV / "lock"
    if not made_of.exists() or made_of.read_text() != LOCK.read_text():
        pip_install("-r", str(LOCK), "--no-deps")
        made_of.write_text(LOCK.read_text())
    return python


def pip_install(*what: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    subprocess.run([VENV / "bin/python", "-m", "pip", "install", "--quiet", *what], check=True, env=alone())


def alone() -> dict[str, str]:
    """The variables of this process without ROS's packages on the path."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def lock() -> None:
    pip_install("-r", str(LOCK.with_suffix(".in")))
    list_all = [VENV / "bin/python", "-m", "pip", "freeze"]
    frozen = subprocess.run(list_all, check=True, capture_output=True, text=True, env=alone()).stdout
    LOCK.write_text("# Made by docs/build.py --lock from docs.in.\n" + frozen.lower())


def main() -> int:
    if sys.argv[1:] == ["--lock"]:
        lock()
    out = ROOT / "docs/_build"
    sphinx = [environment(), "-m", "sphinx", "-W", "--keep-going", "-q", "-c", ROOT / "docs", "-d", out / "doctrees"]
    return subprocess.run([*sphinx, ROOT, out / "html"], check=False, env=alone()).returncode


if __name__ == "__main__":
    sys.exit(main())
