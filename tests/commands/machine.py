"""The machine on which the documentation's commands are run: a copy of the checkout, and one graph that is up."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from varl_common.host.domain import free_domain
from varl_vlm_advisor.testing.server import KEY, Server

from .forms import comes_to, form_of, quick
from .graphs import GRAPHS, LEARNER, own_arm
from .needs import NEEDS
from .pages import ROOT, Command, files

PATIENCE = 400.0  # s, of a command; all end sooner by themselves


class Machine:
    """Runs commands, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "varl"
        self.packages = folder / "venv"  # pip's, where a page installs something
        self._up: dict[str, contextlib.ExitStack] = {}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._done: dict[tuple[str, str], tuple[int, str]] = {}
        self._there: set[str] = set()
        self._stack = contextlib.ExitStack()
        self.server = self._stack.enter_context(Server())
        _copy_checkout(self.folder)
        self.write("quick.yaml", {})
        self.write(
            "watched.yaml",
            {"/**/learner": {"ros__parameters": {"advice.trigger": [*range(40, 6000, 60)], "sac.utd": 0.1}}},
        )
        own_arm(self.folder / "my_arm.yaml", "ur5e")
        own_arm(self.folder / "my_varl_arm.yaml", "varl_arm")
        (self.folder / "ur5e.yaml").write_text((self.folder / "my_arm.yaml").read_text())
        programs = folder / "bin"
        programs.mkdir()
        (programs / "ros2").write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("ros2.py")} "$@"\n')
        (programs / "ros2").chmod(0o755)
        alone = {name: value for name, value in os.environ.items() if name not in ("ROS_DOMAIN_ID", "PIP_CONSTRAINT")}
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = alone | {"PATH": path, "VLLM_API_KEY": KEY, "PYTHONUNBUFFERED": "1"}

    def run(self, command: Command) -> tuple[str, int, str]:
        """The command's quick form as it was run, its status and its output."""
        form = form_of(command.text)
        for name, text in files(ROOT / command.page).items():
            self.write(name, yaml.safe_load(text.replace("http://localhost:8000/v1", self.server.url)))
        graph = next((need for need in form.needs if need in GRAPHS), "")
        for other in set(self._up) - {graph}:
            self._up.pop(other).close()
        for need in [need for need in form.needs if need not in self._there and need not in GRAPHS]:
            NEEDS[need](self)
            self._there.add(need)
        if graph and graph not in self._up:
            self._up[graph] = self._started(graph)
        if not form.itself:
            return "", *self._is_up(graph)
        text, more = quick(command.text, form), {}
        if "extras" in form.needs:
            more = {"PYTHONPATH": self.with_extras}
        elif "pip" in form.needs:
            text = f"{self.inside} {text}"
        if (program := comes_to(text), graph) not in self._done:  # pages repeat each other
            self._done[program, graph] = self.bash(text, **more)
        return text, *self._done[program, graph]

    def _is_up(self, graph: str) -> tuple[int, str]:
        """Whether all of the graph's processes still run, after they have said something."""
        logs = sorted(self.folder.glob(f"{graph}-*.log"))
        end = time.monotonic() + PATIENCE
        while not all(log.stat().st_size for log in logs) and time.monotonic() < end:
            time.sleep(0.2)
        ended = [process.args for process in self._processes if process.poll() is not None]
        return len(ended), "\n".join(log.read_text(errors="replace") for log in logs)

    @property
    def site(self) -> Path:
        """Where pip installs to."""
        (site,) = self.packages.glob("lib/python*/site-packages")
        return site

    @property
    def with_extras(self) -> str:
        """Where Python looks, with what pip installed."""
        return f"{self.environment['PYTHONPATH']}:{self.site}"

    @property
    def inside(self) -> str:
        """What enters pip's environment, without ROS."""
        return f"unset PYTHONPATH; source {self.packages}/bin/activate;"

    def bash(self, text: str, **more: str) -> tuple[int, str]:
        """Its status, as ``timeout`` gives it where it did not end, and what it said until then."""
        done = subprocess.run(
            ["timeout", "--signal=INT", "--kill-after=20", str(PATIENCE), "bash", "-ec", text],
            cwd=self.folder,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def write(self, name: str, values: dict[str, Any]) -> None:
        """A file of ROS parameters, with what makes a training quick."""
        learner = values.setdefault("/**/learner", {}).setdefault("ros__parameters", {})
        learner |= {key: value for key, value in LEARNER.items() if key not in learner}
        (self.folder / name).write_text(yaml.safe_dump(values))

    def end(self) -> None:
        for graph in self._up.values():
            graph.close()
        self._stack.close()

    def _started(self, graph: str) -> contextlib.ExitStack:
        """A graph's processes, in a domain of their own, until it is closed."""
        up = contextlib.ExitStack()
        self._processes = []
        self.environment["ROS_DOMAIN_ID"] = str(up.enter_context(free_domain()))
        up.callback(self.environment.pop, "ROS_DOMAIN_ID")
        for number, text in enumerate(GRAPHS[graph]):
            log = up.enter_context((self.folder / f"{graph}-{number}.log").open("wb"))
            process = subprocess.Popen(
                ["bash", "-c", f"exec {text}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            self._processes.append(process)
            up.callback(_ended, process)
        return up


def _ended(process: subprocess.Popen[bytes]) -> None:
    """Told to end; by force where that does not do."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
            return


def _copy_checkout(folder: Path) -> None:
    """What git knows of, and what it would: what commands write stays out of the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    subprocess.run(["git", "init", "-q", folder], check=True)
