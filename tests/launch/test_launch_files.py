"""What a user meets on `ros2 launch`: described arguments, refusals in one line, an honest status."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("launch_ros", reason="ROS 2's launch is not among the wheels: source a full ROS 2 install for this")
if shutil.which("ros2") is None:
    pytest.skip("the ros2 command is not installed", allow_module_level=True)

from varl_bringup.graph.programs import PROGRAMS

QUICK = Path(__file__).parents[1] / "quick.yaml"


def ros2_launch(name: str, *words: str, folder: Path, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
    command = ["ros2", "launch", "varl_bringup", f"{name}.launch.py", *words]
    environment = os.environ | {"ROS_LOG_DIR": str(folder / "log")}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, env=environment)


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_show_args_describes_every_argument(name: str, tmp_path: Path) -> None:
    shown = ros2_launch(name, "--show-args", folder=tmp_path).stdout
    for argument in PROGRAMS[name].arguments:
        assert f"'{argument.name}':" in shown
        assert argument.description in shown


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("task:=raech", "unknown task 'raech'; did you mean 'reach'?"),
        ("taks:=reach", "has no argument 'taks'; did you mean 'task'?"),
        ("backend:=mujco", "'mujco' is not valid|\"mujco\" is not valid"),
        ("backend:=gazebo", "backend:=gazebo"),
        ("rviz:=true", "rviz2|$"),
    ],
)
def test_bad_arguments_fail_the_launch(word: str, message: str, tmp_path: Path) -> None:
    if word == "rviz:=true":
        from varl_bringup.graph.packages import is_installed

        if is_installed("rviz2"):
            pytest.skip("RViz is installed")
    result = ros2_launch("train_sim", word, folder=tmp_path)
    assert result.returncode == 1
    assert any(part in result.stderr + result.stdout for part in message.split("|"))
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_node_that_fails_fails_the_launch_with_its_name(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**/env:\n  ros__parameters:\n    no_such_parameter: 1\n")
    result = ros2_launch("train_sim", f"params_file:={mine}", "run_dir:=runs/failed", folder=tmp_path)
    assert result.returncode == 1
    assert "unknown parameter 'no_such_parameter'" in result.stderr + result.stdout
    assert "env ended (status 2)" in result.stderr + result.stdout


def test_a_run_is_trained_by_the_clock_and_evaluated(domain: int, tmp_path: Path) -> None:
    words = ("backend:=mujoco", "steps:=80", "run_dir:=run", f"params_file:={QUICK}")
    trained = ros2_launch("train_real", *words, folder=tmp_path, timeout=120)
    assert trained.returncode == 0, trained.stdout[-3000:]
    assert json.loads((tmp_path / "run/summary.json").read_text())["steps"] == 80
    evaluated = ros2_launch("evaluate", "run:=run", "episodes:=2", folder=tmp_path, timeout=120)
    assert evaluated.returncode == 0, evaluated.stdout[-3000:]
    assert json.loads((tmp_path / "run/evaluation.json").read_text())["episodes"] == 2
