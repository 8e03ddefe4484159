"""`ros2 launch varl_bringup train_sim backend:=gazebo` on Gazebo itself, where VARL_ROS_UNDERLAY has it."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.gazebo import NEEDED
from benchmarks.real.driver import refuse_without_underlay

from .conftest import Launch

QUICK = Path(__file__).parents[1] / "quick.yaml"
WORDS = ("backend:=gazebo", "advisor:=scripted", "run_dir:=run", f"params_file:={QUICK}")
STAY_UNTIL_THE_END = {"gazebo", "env", "advisor", "learner", "gz", "parameter_bridge"}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(autouse=True)
def gazebo() -> None:
    try:
        refuse_without_underlay(NEEDED)
    except SystemExit as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("program", ["train_sim", "train_real"])
def test_a_training_goes_to_its_end(launch: Callable[..., Launch], program: str, tmp_path: Path) -> None:
    """In lock-step, and by the clock."""
    run = launch(program, *WORDS, "steps:=200")
    assert run.wait(500) == 0, run.output[-3000:]
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["steps"] == 200
    assert summary["queries"] == 1
    assert run.ended_cleanly >= STAY_UNTIL_THE_END, run.output[-3000:]
    assert not run.left()


def test_ctrl_c_ends_gazebo_too(launch: Callable[..., Launch]) -> None:
    run = launch("train_sim", *WORDS, "steps:=1000000")
    run.wait_for("learns reach", 300)
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.wait(100) == 0, run.output[-3000:]
    assert run.ended_cleanly >= STAY_UNTIL_THE_END, run.output[-3000:]
    assert not run.left()
