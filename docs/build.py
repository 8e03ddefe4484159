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
sys.path.insert(0, str(ROOT / "tools/setup"))

from progress import Bar  # noqa: E402

VENV = ROOT / ".ros/docs"
LOCK = ROOT / "requirements/docs.lock"
OUT = ROOT / "docs/_build"
LOG = OUT / "build.log"
SECONDS = {"packages": 20.0, "site": 30.0}


def environment(bar: Bar | None = None) -> Path:
    """The Python of the site's environment, made where it is not there or not that of the lock."""
    python, made_of = VENV / "bin/python", VENV / "lock"
    if not made_of.exists() or made_of.read_text() != LOCK.read_text():
        if bar:
            bar.step("packages", "^Collecting", LOCK.read_text().count("=="))
        pip_install("-r", str(LOCK), "--no-deps")
        made_of.write_text(LOCK.read_text())
    return python


def pip_install(*what: str) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    with LOG.open("a") as log:
        subprocess.run([VENV / "bin/python", "-m", "pip", "install", *what], check=True, env=alone(), stdout=log)


def alone() -> dict[str, str]:
    """The variables of this process without ROS's packages on the path."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def lock() -> None:
    pip_install("-r", str(LOCK.with_suffix(".in")))
    list_all = [VENV / "bin/python", "-m", "pip", "freeze"]
    frozen = subprocess.run(list_all, check=True, capture_output=True, text=True, env=alone()).stdout
    LOCK.write_text("# Made by docs/build.py --lock from docs.in.\n" + frozen.lower())


def parts() -> int:
    """What Sphinx tells of, a line each: modules are read and mapped, pages read and written."""
    modules = [
        file for file in (ROOT / "src").glob("varl_*/varl_*/**/*.py") if "test" not in file.relative_to(ROOT).parts
    ]
    pages = [*(ROOT / "docs").glob("**/*.md"), *(ROOT / "benchmarks/results/advice").glob("**/*.md")]
    return 2 * (len(modules) + len(pages))


def main() -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    LOG.unlink(missing_ok=True)
    if sys.argv[1:] == ["--lock"]:
        lock()
    with Bar(LOG, "site", SECONDS) as bar:
        sphinx = [environment(bar), "-m", "sphinx", "-W", "--keep-going", "-c", ROOT / "docs", "-d", OUT / "doctrees"]
        bar.step("site", r"\[ *\d+%\]", parts())
        with LOG.open("a") as log:
            done = subprocess.run(
                [*sphinx, ROOT, OUT / "html"], check=False, env=alone(), stdout=log, stderr=subprocess.PIPE, text=True
            )
    print(done.stderr, end="", file=sys.stderr)
    print(f"site: {OUT / 'html/index.html' if done.returncode == 0 else 'not built; all that was said: ' + str(LOG)}")
    return done.returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
