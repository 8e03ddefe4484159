"""What must be there before a command: a run, a dataset, packages that the page has just told its reader to install."""

from __future__ import annotations

import shutil
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from varl_robot_env.success.moments import Label, Moments, read_layout
from varl_vlm_advisor.testing.tiny_vlm import make_tiny_vlm

from .pages import ROOT

if TYPE_CHECKING:
    from .machine import Machine

EXTRAS = ("pyarrow", "av", "onnx", "onnxscript", "onnxruntime", "rerun-sdk")
"""What pages name to be installed beside VARL."""


def _done(machine: Machine, text: str, **more: str) -> None:
    status, output = machine.bash(text, **more)
    assert status == 0, output


def _run(machine: Machine) -> None:
    _done(machine, "varl train_sim steps:=60 params_file:=quick.yaml record:=true")
    (bag,) = (machine.folder / "runs/latest").glob("bag-*")
    bag.rename(bag.with_name("bag-20260101-120000"))
    shutil.copytree(machine.folder / "runs/latest", machine.folder / "runs/reach-demonstrations")


def _dataset(machine: Machine) -> None:
    if not (machine.folder / "datasets/reach").exists():
        _done(
            machine,
            "varl dataset source:=runs/reach-demonstrations out:=datasets/reach",
            PYTHONPATH=machine.with_extras,
        )


def _pictures(machine: Machine) -> None:
    """A dataset with pictures."""
    latest = (machine.folder / "runs/latest").readlink()
    _done(
        machine, "varl train_sim task:=push observation:=both steps:=40 params_file:=quick.yaml run_dir:=runs/pictured"
    )
    _done(machine, "varl dataset source:=runs/pictured out:=datasets/pictured", PYTHONPATH=machine.with_extras)
    _done(machine, f"ln -sfn {latest} runs/latest")  # pages go on with the run that they had


def _simulated(machine: Machine) -> None:
    """A run of my_arm in simulation, to begin with on an arm."""
    if not (machine.folder / "runs/simulated").exists():
        given = "robot:=my_arm.yaml run_dir:=runs/simulated"
        _done(machine, f"varl train_sim steps:=60 params_file:=quick.yaml {given}")


def _moments(machine: Machine) -> None:
    """A few moments of either kind beside those that were collected."""
    layout = read_layout(machine.folder / "moments/push")
    moments = Moments(machine.folder / "moments/push", layout)
    for number in range(10):
        shown = np.full((layout.side, layout.side, 3), 20 * number, np.uint8)
        moments.add(dict.fromkeys(layout.cameras, shown), Label(number % 2), False, 1)
        moments.end_episode()
    moments.close()


def _model(machine: Machine) -> None:
    make_tiny_vlm(machine.folder / "my_model")


def _states(machine: Machine) -> None:
    if not (machine.folder / "runs/advisor-eval/states").exists():
        _done(machine, "varl advisor-eval advisor:=none task:=drawer-open-v3 count:=1")


def _set_up(machine: Machine) -> None:
    if not (ROOT / ".ros/jazzy/install").is_dir():
        pytest.skip("this checkout was not set up itself: another's workspace is sourced")


def _workspace(machine: Machine) -> None:
    if not (machine.folder / "workspace").exists():
        _done(machine, f"git clone --quiet {ROOT} workspace/src/varl")
        _done(machine, "cd workspace && colcon build --packages-select varl_common")


def _pip(machine: Machine) -> None:
    """A virtual environment in which what is installed here counts as installed."""
    venv.create(machine.packages, with_pip=True)
    (base,) = Path(sys.prefix).glob("lib/python*/site-packages")
    (machine.site / "base.pth").write_text(f"{base}\n")
    status, output = machine.bash(f"{machine.inside} pip install --quiet build twine setuptools==79.0.1")
    if status:
        pytest.skip(f"no package index can be reached: {output.splitlines()[-1]}")


def _extras(machine: Machine) -> None:
    _done(machine, f"{machine.inside} pip install --quiet {' '.join(EXTRAS)}")


def _wheels(machine: Machine) -> None:
    packages = " ".join(f"src/{name}" for name in ("varl_common", "varl_agent", "varl_vlm_advisor"))
    _done(machine, f"{machine.inside} pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist {packages}")
    _done(machine, f"{machine.inside} pip install --quiet --no-deps dist/*.whl")


NEEDS: dict[str, Callable[[Machine], None]] = {
    "a run": _run,
    "a dataset": _dataset,
    "pictures": _pictures,
    "simulated": _simulated,
    "moments": _moments,
    "a model": _model,
    "states": _states,
    "a set-up of its own": _set_up,
    "a workspace": _workspace,
    "pip": _pip,
    "extras": _extras,
    "wheels": _wheels,
}
