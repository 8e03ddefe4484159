"""What a user meets on `ros2 launch`: described arguments, refusals in one line, an orderly end, an honest status."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from varl_bringup.graph.packages import is_installed
from varl_bringup.graph.programs import PROGRAMS

from .conftest import Launch

Start = Callable[..., Launch]
QUICK = Path(__file__).parents[1] / "quick.yaml"
NODES = {"simulator", "env", "advisor", "learner"}


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_show_args_describes_every_argument(launch: Start, name: str) -> None:
    shown = launch(name, "--show-args")
    assert shown.wait() == 0, shown.output
    for argument in PROGRAMS[name].arguments:
        assert f"'{argument.name}':" in shown.output
        assert argument.description in shown.output


@pytest.mark.parametrize(
    ("word", "message", "unless"),
    [
        ("task:=raech", "unknown task 'raech'; did you mean 'reach'?", ""),
        ("taks:=reach", "has no argument 'taks'; did you mean 'task'?", ""),
        ("backend:=mujco", '"mujco" is not valid', ""),
        ("backend:=gazebo", "backend:=gazebo needs ROS 2 packages that are not installed", "ros_gz_sim"),
        ("rviz:=true", "rviz2, which is not installed", "rviz2"),
    ],
)
def test_bad_arguments_fail_the_launch(launch: Start, word: str, message: str, unless: str, tmp_path: Path) -> None:
    if unless and is_installed(unless):
        pytest.skip(f"{unless} is installed")
    refused = launch("train_sim", word)
    assert refused.wait() == 1
    assert message in refused.output.replace("'mujco' is", '"mujco" is')
    assert "Traceback" not in refused.output
    assert not (tmp_path / "runs").exists()


def test_a_node_that_fails_fails_the_launch_with_its_name(launch: Start, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**/env:\n  ros__parameters:\n    no_such_parameter: 1\n")
    failed = launch("train_sim", "advisor:=scripted", f"params_file:={mine}", "run_dir:=run")
    assert failed.wait() == 1
    assert "unknown parameter 'no_such_parameter'" in failed.output
    assert "env ended (status 2)" in failed.output
    assert not (tmp_path / "run").exists(), "there is nothing in it to resume or to play"


@pytest.mark.parametrize("text", ["0815", "1e5", "y", "nan"])
def test_a_text_that_looks_like_a_number_stays_a_text(launch: Start, text: str) -> None:
    refused = launch("calibrate", "marker_size:=0.1", f"camera:={text}")
    assert refused.wait() == 1
    assert f"'{text}'" in refused.output
    assert "calibrate ended (status 2)" in refused.output


@pytest.mark.timeout(300)
def test_a_run_is_trained_by_the_clock_and_evaluated(launch: Start, tmp_path: Path) -> None:
    trained = launch("train_real", "backend:=mujoco", "steps:=80", "run_dir:=run", f"params_file:={QUICK}")
    assert trained.wait(150) == 0, trained.output[-3000:]
    assert trained.ended_cleanly == NODES
    assert json.loads((tmp_path / "run/summary.json").read_text())["steps"] == 80
    evaluated = launch("evaluate", "run:=run", "episodes:=2")
    assert evaluated.wait() == 0, evaluated.output[-3000:]
    assert json.loads((tmp_path / "run/evaluation.json").read_text())["episodes"] == 2


@pytest.mark.parametrize("to_group", [True, False], ids=["by the terminal", "to launch alone"])
@pytest.mark.parametrize("moment", ["simulating varl_arm", "learns reach"])
def test_ctrl_c_is_an_orderly_end_of_every_node(launch: Start, moment: str, to_group: bool) -> None:
    """A terminal sends Ctrl-C to all of them, and launch once more: whichever node ends first is no failure."""
    run = launch("train_sim", "advisor:=scripted", "run_dir:=run", f"params_file:={QUICK}", "steps:=1000000")
    run.wait_for(moment)
    time.sleep(1.0)  # somewhere in what follows
    (os.killpg if to_group else os.kill)(run.process.pid, signal.SIGINT)
    assert run.wait(40) == 0
    assert run.ended_cleanly == NODES, run.output[-3000:]
    assert "Traceback" not in run.output
    assert not run.left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_launch_that_is_ended_or_killed_leaves_nobody_behind(launch: Start, number: int, tmp_path: Path) -> None:
    run = launch("train_sim", "advisor:=scripted", "run_dir:=run", f"params_file:={QUICK}", "steps:=1000000")
    run.wait_for("learns reach")
    os.kill(run.process.pid, number)
    run.wait()
    deadline = time.monotonic() + 20
    while run.left():
        assert time.monotonic() < deadline, run.left()
        time.sleep(0.1)
    assert list((tmp_path / "run/checkpoints").iterdir())


@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        ("teleop", ("run_dir:=shown", "episodes:=1"), "hold the joystick's deadman button"),
        ("calibrate", ("marker_size:=0.1", "calibration_file:=camera.yaml"), "bring the arm to a pose"),
    ],
)
def test_what_a_person_does_can_be_left_at_any_time(launch: Start, name: str, words: tuple[str], says: str) -> None:
    run = launch(name, *words)
    run.wait_for(says)
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.wait(40) == 0
    assert name in run.ended_cleanly
    assert "process has died" not in run.output
