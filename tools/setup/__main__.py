"""Set VARL up below ``.ros/<distro>``: Python packages, ROS 2, the built workspace. Does nothing when nothing changed.

Run as ``python3 tools/setup``. With ``--packages-only`` it brings the Python packages and leaves building to you: for a
checkout in a colcon workspace of yours. Environment variables: ROS_DISTRO (jazzy or kilted), VARL_PYTHON (the
interpreter to build on), VARL_TORCH_INDEX_URL (the package index to take torch from, for its CPU build).
"""

from __future__ import annotations

import argparse
import fcntl
import sys
from pathlib import Path

from environment import prepare_environment
from host import find_python, find_ros, install_system_packages
from progress import Bar
from report import SetupError, say
from workspace import build_workspace

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/setup", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--packages-only", action="store_true", help="bring the Python packages, build nothing")
    packages_only = parser.parse_args().packages_only
    try:
        ros = find_ros()
        python = find_python(ros)
        home = ROOT / ".ros" / ros.distro
        home.mkdir(parents=True, exist_ok=True)
        log = home / "setup.log"
        with (home / "setup.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            log.unlink(missing_ok=True)
            install_system_packages(python, log)
            with Bar(log) as bar:
                environment = prepare_environment(ROOT, home, ros, python, log, bar)
                if packages_only:
                    say(f"to build and run with them: source {home}/venv/bin/activate")
                    if ros.prefix is None:
                        say(
                            "no ROS 2 install is sourced, which colcon and ros2 need: source "
                            f"/opt/ros/{ros.distro}/setup.bash and run this again, or let `make build` set up all of it"
                        )
                else:
                    build_workspace(ROOT, home, ros, environment, log, bar)
    except SetupError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; run the command again to go on")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
