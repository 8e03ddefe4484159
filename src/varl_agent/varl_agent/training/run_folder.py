"""A run's folder: what it holds, and how it is written so that a crash never leaves half a file."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import yaml
from varl_common.arguments import command_line
from varl_common.errors import VarlError
from varl_common.files import atomic_write, real_path, short_path
from varl_common.host.earlier_run import refuse_earlier_run
from varl_common.yaml_file import load_yaml

from varl_agent.training.checkpoint import list_checkpoints


class RunFolder:
    """``runs/<name>/``: config.yaml, checkpoints/, replay/, tensorboard/ and what the report adds."""

    def __init__(self, path: str | Path) -> None:
        self.path = real_path(path)  # latest would be a link to itself where that is the name of the run
        self.name = self.path.name
        self.config = self.path / "config.yaml"
        self.checkpoints = self.path / "checkpoints"
        self.replay = self.path / "replay"
        self.tensorboard = self.path / "tensorboard"
        self.summary = self.path / "summary.json"
        self.evaluation = self.path / "evaluation.json"
        self.curve = self.path / "curve.png"
        self._made: list[Path] = []  # what create() found missing

    def create(self) -> None:
        """Make the folder of a new run.

        Raises:
            VarlError: it holds a run already, or cannot be made.
        """
        refuse_earlier_run(self.path)
        parts = (self.checkpoints, self.tensorboard, self.replay, self.config, self.path)
        self._made = [part for part in parts if not part.exists()]
        self._make()

    def remove_unless_begun(self) -> None:
        """Remove what a run has left that :meth:`create` made and that ended before its first checkpoint."""
        if list_checkpoints(self.checkpoints):
            return
        for part in self._made:
            if part == self.config:
                part.unlink(missing_ok=True)
            elif part != self.path:
                shutil.rmtree(part, ignore_errors=True)
            elif part.is_dir() and not any(part.iterdir()):
                part.rmdir()
        latest = self.path.parent / "latest"
        if latest.is_symlink() and not latest.exists():
            latest.unlink()

    @property
    def way_on(self) -> str:
        """What a user types to resume this run."""
        launch = self.path / "launch.yaml"
        if not launch.is_file():  # its nodes were started one by one
            return f"start the learner again with resume:=true run_dir:={short_path(self.path)}"
        return command_line(str(load_yaml(launch)["program"]), resume="true", run_dir=short_path(self.path))

    def reopen(self) -> None:
        """Open the folder of a run to continue.

        Raises:
            VarlError: there is no run in it.
        """
        if not self.checkpoints.is_dir():
            there = "holds no run" if self.path.is_dir() else "does not exist"
            raise VarlError(f"resume:=true, but {self.path} {there}; name the run_dir of a run that has a checkpoint")
        self._make()

    def _make(self) -> None:
        try:
            for folder in (self.checkpoints, self.tensorboard):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VarlError(
                f"run_dir {self.path} cannot be made: {error.strerror}; name a folder you may write"
            ) from None

    def point_latest(self) -> None:
        """Let ``latest`` beside this folder point at it."""
        link = self.path.parent / "latest"
        if link.exists() and not link.is_symlink():
            return  # someone's own file: leave it
        aside = link.with_name(f".latest.{os.getpid()}")
        aside.unlink(missing_ok=True)
        aside.symlink_to(self.name)
        os.replace(aside, link)

    def write_config(self, values: dict[str, Any]) -> None:
        """Write the full configuration as YAML."""
        with atomic_write(self.config) as aside:
            aside.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write ``values`` as readable JSON, whole or not at all."""
    with atomic_write(path) as aside:
        aside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
