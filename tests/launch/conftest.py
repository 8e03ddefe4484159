"""`ros2 launch` as a user has it: on the Python of an installed ROS 2, which need not have a single package of ours."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

UNDERLAY = os.environ.get("VARL_ROS_UNDERLAY", "")  # its setup.bash, where it is not what the tests themselves run on
REASON = "ros2 is not on PATH: source a full ROS 2 install, or name its setup.bash in VARL_ROS_UNDERLAY"
SCRIPT = 'set +u; . "$0"; . "$1"; shift; exec ros2 launch varl_bringup "$@"'
PREFIXES = ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH")


class Launch:
    """A `ros2 launch varl_bringup <name>.launch.py` in a process group of its own, as a terminal would start it."""

    def __init__(self, folder: Path, name: str, *words: str) -> None:
        self._log = folder / "output"
        self._mark = f"VARL_TEST_MARK={folder}"
        environment = os.environ | {"ROS_LOG_DIR": str(folder / "log"), "VARL_TEST_MARK": str(folder)}
        command = ["ros2", "launch", "varl_bringup", f"{name}.launch.py", *words]
        if UNDERLAY:
            from ament_index_python.packages import get_package_prefix

            workspace = Path(get_package_prefix("varl_bringup")).parent / "local_setup.bash"
            environment = {key: value for key, value in environment.items() if key not in PREFIXES}
            command = ["bash", "-c", SCRIPT, UNDERLAY, str(workspace), f"{name}.launch.py", *words]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_for(self, words: str, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.output:
            assert time.monotonic() < deadline, self.output[-3000:]
            assert self.process.poll() is None, self.output[-3000:]
            time.sleep(0.05)

    def wait(self, seconds: float = 90) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {seconds} s: {self.output[-3000:]}")

    @property
    def ended_cleanly(self) -> set[str]:
        return set(re.findall(r"\[(\w+)-\d+\]: process has finished cleanly", self.output))

    def left(self) -> list[str]:
        """Command lines of the processes that it started and that still run."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark.encode() in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return [line for line in found if line]

    def end(self) -> None:
        while self.left():
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    if self._mark.encode() in (folder / "environ").read_bytes():
                        os.kill(int(folder.name), signal.SIGKILL)
                except OSError:
                    continue
            self.process.poll()


@pytest.fixture
def launch(domain: int, tmp_path: Path) -> Iterator[Callable[..., Launch]]:
    """Starts launch files; ends what is left of them."""
    if not UNDERLAY and shutil.which("ros2") is None:
        pytest.skip(REASON)
    started: list[Launch] = []

    def start(name: str, *words: str) -> Launch:
        started.append(Launch(tmp_path, name, *words))
        return started[-1]

    yield start
    for one in started:
        one.end()
