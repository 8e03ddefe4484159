"""``launch.yaml`` in a run's folder: how the run was started, so that it can be continued and evaluated."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml
from varl_common.arguments import command_line
from varl_common.errors import VarlError
from varl_common.files import real_path, short_path
from varl_common.host.earlier_run import refuse_earlier_run
from varl_common.yaml_file import load_yaml

FILE = "launch.yaml"
_RECORDED_PROGRAMS = ("train_sim", "train_real")
_PARAMS = "params.yaml"
_CHECKPOINTS = "checkpoints"
# What only says how a run is watched or continued does not belong to what it is.
_NOT_RECORDED = {"run_dir", "resume", "rviz", "viewer", "record", "log_level"}


def write_launch(run_dir: Path, program: str, values: Mapping[str, str]) -> None:
    """Record how a run is started, with a copy of the user's parameter file.

    Raises:
        VarlError: the folder holds a run already, or cannot be written.
    """
    refuse_earlier_run(run_dir)
    arguments = {name: value for name, value in values.items() if name not in _NOT_RECORDED}
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        if arguments["params_file"]:
            shutil.copyfile(Path(arguments["params_file"]).expanduser(), run_dir / _PARAMS)
            arguments["params_file"] = _PARAMS
        for name in ("task", "robot"):
            if arguments[name].endswith(".yaml"):
                arguments[name] = str(Path(arguments[name]).absolute())
        text = yaml.safe_dump({"program": program, "arguments": arguments}, sort_keys=False)
        (run_dir / FILE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise VarlError(f"run_dir {run_dir} cannot be written: {error.strerror}; name a folder you may write") from None


def remove_unless_begun(run_dir: Path) -> None:
    """Remove what :func:`write_launch` wrote where the run ended before its learner had a checkpoint's folder."""
    if (run_dir / _CHECKPOINTS).exists():
        return
    for name in (FILE, _PARAMS):
        (run_dir / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody else has something in it
        run_dir.rmdir()


def way_on(run_dir: Path, program: str) -> str:
    """What is kept of a run whose learner could not say so itself, and what a user types to resume it."""
    newest = max((path.stem for path in (run_dir / _CHECKPOINTS).glob("step-*")), default="")
    if not newest:
        return "it ended before its first checkpoint: there is nothing to resume"
    # In lock-step the transitions since then are taken again.
    kept = "is" if program == "train_sim" else "and all transitions since then are"
    command = command_line(program, resume="true", run_dir=short_path(run_dir))
    return f"the checkpoint of step {int(newest.removeprefix('step-'))} {kept} kept; to go on: {command}"


def find_run(name: str) -> Path:
    """The folder of the run that a user names by its folder or by a link to it, such as ``runs/latest``.

    Raises:
        VarlError: there is no such run.
    """
    run_dir = real_path(name)
    if (run_dir / FILE).is_file():
        return run_dir
    named = Path(os.path.abspath(Path(name).expanduser()))
    why = f"{FILE} is missing"
    if run_dir.is_symlink():
        why = "its link leads round in a circle"
    elif named.is_symlink() and not run_dir.exists():
        why = f"it is a link to {run_dir}, which is not there"
    there = sorted(path.parent.name for path in named.parent.glob(f"[!.]*/{FILE}") if _is_run(path.parent))
    remedy = f"there are: {', '.join(there)}" if there else "train one first: varl train_sim"
    raise VarlError(f"there is no run {named} ({why}); {remedy}")


def _is_run(folder: Path) -> bool:
    """Whether ``folder`` is one that can be resumed or played; links to others do not count."""
    return not folder.is_symlink() and any((folder / _CHECKPOINTS).glob("step-*"))


def read_launch(run_dir: Path) -> tuple[str, dict[str, str]]:
    """The program that started the run in ``run_dir``, and its launch arguments.

    Raises:
        VarlError: its file is missing or malformed.
    """
    record = load_yaml(run_dir / FILE)
    program, arguments = record.get("program"), record.get("arguments")
    if program not in _RECORDED_PROGRAMS:
        raise VarlError(f"{run_dir / FILE}: program is {program!r}; expected {' or '.join(_RECORDED_PROGRAMS)}")
    if not isinstance(arguments, dict):
        raise VarlError(f"{run_dir / FILE}: arguments is {arguments!r}; expected a mapping of names to texts")
    for name, value in arguments.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise VarlError(f"{run_dir / FILE}: argument {name} is {value!r}; write it as text, in quotes")
    if arguments.get("params_file"):
        arguments["params_file"] = str(run_dir / arguments["params_file"])
    return program, arguments
