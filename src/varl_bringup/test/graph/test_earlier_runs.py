"""What is taken over from a run: to evaluate, deploy or resume it, or to begin with it."""

import shutil
from pathlib import Path

import pytest
import yaml
from varl_bringup.graph.launch_record import read_launch, remove_unless_begun, way_on, write_launch
from varl_common.errors import VarlError

from .described import describe, names, parameters


def started(tmp_path: Path, *words: str) -> Path:
    run_dir = tmp_path / "run"
    graph = describe("train_sim", f"run_dir:={run_dir}", *words)
    write_launch(graph.run_dir, graph.program, graph.values)
    return run_dir


def test_evaluation_brings_up_what_the_run_was_trained_on(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**/env:\n  ros__parameters:\n    reward: dense\n")
    run_dir = started(tmp_path, "task:=push", "seed:=3", f"params_file:={mine}")
    mine.unlink()  # the run keeps a copy
    graph = describe("evaluate", f"run:={run_dir}", "episodes:=5")
    assert names(graph) == ["simulator", "env", "evaluate"]
    assert not graph.starts_run
    assert Path(parameters(graph, "env")["task_file"]).name == "push.yaml"
    assert parameters(graph, "evaluate")["episodes"] == 5
    env = next(node for node in graph.nodes if node.name == "env")
    assert yaml.safe_load(env.parameter_files[-1].read_text())["/**/env"]["ros__parameters"]["reward"] == "dense"


def test_a_policy_is_deployed_on_what_it_was_trained_on_or_by_the_clock_on_an_arm(tmp_path: Path) -> None:
    run_dir = started(tmp_path, "task:=push")
    graph = describe("deploy", f"run:={run_dir}")
    assert names(graph) == ["simulator", "env", "deploy"], "and no learner"
    assert parameters(graph, "simulator")["lock_step"] is True
    assert parameters(graph, "deploy") == {
        "run_dir": str(run_dir),
        "episodes": 0,
        "seconds": 0.0,
        "start": "now",
        "seed": 0,
    }
    real = describe("deploy", f"run:={run_dir}", "backend:=real", "start:=goal", "seconds:=60")
    assert names(real) == ["env", "deploy"]
    assert parameters(real, "env")["backend"] == "real"
    assert parameters(real, "deploy")["start"] == "goal"
    with pytest.raises(VarlError, match="unknown backend 'raal'"):
        describe("deploy", f"run:={run_dir}", "backend:=raal")


# What is said of a name for a run, after the program's own words, by the program.
BY_NAME = {"evaluate": "run:=", "deploy": "run:=", "train_sim": "resume:=true run_dir:=", "train_real": "start_from:="}


@pytest.mark.parametrize("program", BY_NAME)
@pytest.mark.parametrize(
    ("target", "why"),
    [
        (None, "launch.yaml is missing"),
        ("latest", "its link leads round in a circle"),
        ("removed", r"it is a link to .*/removed, which is not there"),
    ],
)
def test_a_run_that_is_not_there_is_refused_with_those_that_are(
    tmp_path: Path, program: str, target: str | None, why: str
) -> None:
    (started(tmp_path) / "checkpoints").mkdir()
    (tmp_path / "run/checkpoints/step-000000000000.safetensors").touch()
    shutil.copytree(tmp_path / "run", tmp_path / ".hidden")
    (tmp_path / "again").symlink_to("run")
    (tmp_path / "typo").mkdir()  # of a start that failed: nothing to resume or to play
    shutil.copyfile(tmp_path / "run/launch.yaml", tmp_path / "typo/launch.yaml")
    if target is not None:
        (tmp_path / "latest").symlink_to(target)
    with pytest.raises(VarlError, match=rf"there is no run {tmp_path}/latest \({why}\); there are: run$"):
        describe(program, *f"{BY_NAME[program]}{tmp_path}/latest".split())


@pytest.mark.parametrize("program", BY_NAME)
@pytest.mark.parametrize("name", ["runs/latest", "runs/latest/", "elsewhere/latest", "runs/run/", "./runs/../runs/run"])
def test_a_run_goes_by_its_own_name_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    run_dir = started(tmp_path / "runs")
    (tmp_path / "runs/latest").symlink_to("run")
    (tmp_path / "elsewhere").symlink_to("runs")
    graph = describe(program, *f"{BY_NAME[program]}{name}".split())
    given = parameters(graph, graph.main.name)
    assert given["start_from" if program == "train_real" else "run_dir"] == str(run_dir)


def test_a_new_run_does_not_take_the_name_of_a_link(tmp_path: Path) -> None:
    checkpoints = started(tmp_path) / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / "step-000000001000.safetensors").touch()
    (tmp_path / "latest").symlink_to("run")
    graph = describe("train_sim", f"run_dir:={tmp_path / 'latest'}")
    with pytest.raises(VarlError, match=r"/run holds a run already"):
        write_launch(graph.run_dir, graph.program, graph.values)


def test_resuming_takes_the_arguments_that_the_run_was_started_with(tmp_path: Path) -> None:
    run_dir = started(tmp_path, "task:=lift", "seed:=3", "advisor:=none")
    graph = describe("train_sim", f"run_dir:={run_dir}", "resume:=true", "steps:=99")
    assert Path(parameters(graph, "env")["task_file"]).name == "lift.yaml"
    assert parameters(graph, "learner") == {
        "run_dir": str(run_dir),
        "seed": 3,
        "resume": True,
        "recipe": "varl",
        "advisor": "none",
        "steps": 99,
    }
    assert not graph.starts_run
    with pytest.raises(VarlError, match="was started by train_sim"):
        describe("train_real", f"run_dir:={run_dir}", "resume:=true")


def test_a_run_starts_from_another_and_keeps_to_it_when_it_is_resumed(tmp_path: Path) -> None:
    first = started(tmp_path)
    latest = tmp_path / "latest"
    latest.symlink_to(first)
    graph = describe("train_real", f"start_from:={latest}", f"run_dir:={tmp_path / 'second'}")
    assert parameters(graph, "learner")["start_from"] == str(first), "latest is about to be another"
    write_launch(graph.run_dir, graph.program, graph.values)
    again = describe("train_real", f"run_dir:={tmp_path / 'second'}", "resume:=true")
    assert parameters(again, "learner")["start_from"] == str(first)
    with pytest.raises(VarlError, match="there is no run"):
        describe("train_real", f"start_from:={tmp_path / 'none'}")


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path: Path) -> None:
    run_dir = started(tmp_path)
    (run_dir / "checkpoints").mkdir()
    with pytest.raises(VarlError, match="killed before its first checkpoint; remove that folder"):
        started(tmp_path)
    (run_dir / "checkpoints/step-000000001000.safetensors").touch()
    with pytest.raises(VarlError, match="holds a run already; continue it with resume:=true"):
        started(tmp_path)


def test_a_start_that_failed_leaves_nothing_of_its_own(tmp_path: Path) -> None:
    params = tmp_path / "mine.yaml"
    params.write_text("/**/env:\n  ros__parameters:\n    reward: dense\n")
    run_dir = started(tmp_path, f"params_file:={params}")
    remove_unless_begun(run_dir)
    assert not run_dir.exists()
    (started(tmp_path) / "notes.txt").touch()
    remove_unless_begun(run_dir)
    assert [path.name for path in run_dir.iterdir()] == ["notes.txt"]
    (started(tmp_path) / "checkpoints").mkdir()
    remove_unless_begun(run_dir)
    assert read_launch(run_dir)[0] == "train_sim", "its learner has begun"


def test_a_run_whose_learner_was_killed_says_what_is_kept_and_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = tmp_path / "my runs/first"
    assert way_on(run_dir, "train_sim") == "it ended before its first checkpoint: there is nothing to resume"
    (run_dir / "checkpoints").mkdir(parents=True)
    for step in (0, 9000, 12000):
        (run_dir / f"checkpoints/step-{step:012d}.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    command = "resume:=true 'run_dir:=my runs/first'"
    assert way_on(run_dir, "train_sim") == f"the checkpoint of step 12000 is kept; to go on: varl train_sim {command}"
    assert "step 12000 and all transitions since then are kept" in way_on(run_dir, "train_real")
    assert way_on(run_dir, "train_real").endswith(f"to go on: varl train_real {command}")


def test_a_malformed_launch_file_of_a_run_is_one_line(tmp_path: Path) -> None:
    run_dir = started(tmp_path)
    (run_dir / "launch.yaml").write_text("program: rm\narguments: {}\n")
    with pytest.raises(VarlError, match=r"launch.yaml: program is 'rm'; expected train_sim or train_real"):
        read_launch(run_dir)
