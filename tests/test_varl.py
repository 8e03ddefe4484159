"""The `varl` command with the real nodes: train, evaluate, interrupt, lose a node."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy")

QUICK = Path(__file__).with_name("quick.yaml")
ADVICE = ["advisor:=scripted"]  # loads no model


def environment() -> dict[str, str]:
    """The runner picks a DDS domain of its own."""
    return {name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"}


def varl(*words: str, cwd: Path | None = None) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["varl", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        cwd=cwd,
    )


def processes_of(run_dir: Path) -> dict[str, int]:
    """Those whose command line names the run: executable by name, and its process id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(str(run_dir).encode() in word for word in words):
            found[next((Path(word.decode()).name for word in words[1:2]), "")] = int(folder.name)
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A short run, and what was shown of it."""
    folder = tmp_path_factory.mktemp("trained")
    runner = varl(
        "train_sim", "steps:=200", f"params_file:={QUICK}", "run_dir:=runs/first", "seed:=3", *ADVICE, cwd=folder
    )
    output, _ = runner.communicate(timeout=110)
    assert runner.returncode == 0, output
    return folder / "runs/first", output


def test_training_ends_by_itself_and_leaves_its_run(trained: tuple[Path, str]) -> None:
    run, output = trained
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["task"], summary["seed"], summary["steps"]) == ("reach", 3, 200)
    assert {"success_rate", "first_success_step", "wall_s", "queries", "advice_used"} <= set(summary)
    assert summary["queries"] == 1
    assert (run / "curve.png").stat().st_size > 1000
    assert (run.parent / "latest").resolve() == run.resolve()
    assert yaml.safe_load((run / "launch.yaml").read_text())["arguments"]["task"] == "reach"
    assert (run / "params.yaml").read_text() == QUICK.read_text()
    assert not processes_of(run)
    for name in ("simulator", "env", "advisor", "learner"):
        assert re.search(rf"^{name} *\|", output, re.MULTILINE) or name == "env"  # which has nothing to say
    assert "stand-in for a VLM" in output


def test_a_run_is_evaluated_over_the_graph(trained: tuple[Path, str]) -> None:
    run, _ = trained
    runner = varl("evaluate", f"run:={run}", "episodes:=2")
    output, _ = runner.communicate(timeout=90)
    assert runner.returncode == 0, output
    assert re.search(r"of 2 episodes|2 episodes", output), output


def test_a_run_is_exported(trained: tuple[Path, str], tmp_path: Path) -> None:
    runner = varl("export", f"run:={trained[0]}", f"out:={tmp_path / 'arm.pt2'}")
    output, _ = runner.communicate(timeout=90)
    assert runner.returncode == 0, output
    assert "acts as the policy on 1000 states" in output
    assert {path.name for path in tmp_path.iterdir()} == {"arm.pt2", "arm.json"}


@pytest.fixture
def training(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A run that would take hours, in the middle of its first steps."""
    run = tmp_path / "runs/long"
    runner = varl("train_sim", "steps:=1000000", f"params_file:={QUICK}", f"run_dir:={run}", *ADVICE, cwd=tmp_path)
    assert runner.stdout is not None
    for line in runner.stdout:
        if "step 0/" in line:
            break
    deadline = time.monotonic() + 60
    while not list((run / "checkpoints").glob("*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    yield runner, run
    runner.kill()


def test_ctrl_c_saves_and_ends(training: tuple["subprocess.Popen[str]", Path]) -> None:
    runner, run = training
    saved = {path.name for path in (run / "checkpoints").glob("*")}
    time.sleep(0.3)
    runner.send_signal(signal.SIGINT)
    output, _ = runner.communicate(timeout=60)
    assert runner.returncode == 130
    assert {path.name for path in (run / "checkpoints").glob("*")} - saved
    assert "stopped; to go on: varl train_sim resume:=true run_dir:=runs/long\n" in output
    assert "Traceback" not in output
    assert not processes_of(run)


def test_a_node_that_is_killed_ends_the_run_with_its_name(training: tuple["subprocess.Popen[str]", Path]) -> None:
    runner, run = training
    env = next(
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if b"varl_robot_env/env\0" in path.read_bytes() and _parent(path.parent) == runner.pid
    )
    os.kill(env, signal.SIGKILL)
    output, _ = runner.communicate(timeout=60)
    assert runner.returncode == 128 + signal.SIGKILL
    assert "env ended (killed by SIGKILL)" in output
    assert "to go on: varl train_sim resume:=true run_dir:=runs/long\n" in output
    assert not processes_of(run)


def test_a_learner_that_is_killed_leaves_a_run_that_latest_resumes(
    training: tuple["subprocess.Popen[str]", Path],
) -> None:
    runner, run = training
    os.kill(processes_of(run)["learner"], signal.SIGKILL)
    output, _ = runner.communicate(timeout=60)
    said = re.search(r"the checkpoint of step (\d+) is kept; to go on: varl (train_sim.* run_dir:=runs/long)\n", output)
    assert said, output
    words = said[2].replace("runs/long", "runs/latest").split()
    again = varl(*words, "steps:=120", cwd=run.parents[1])
    output, _ = again.communicate(timeout=100)
    assert again.returncode == 0, output
    assert re.search(rf"continues from {run}/.*, step {said[1]}; {said[1]} transitions kept", output), output
    assert (run.parent / "latest").readlink() == Path("long")


def test_a_start_that_fails_leaves_no_run(tmp_path: Path) -> None:
    (tmp_path / "typo.yaml").write_text("task: reach\ninstrucion: reach the ball\n")
    runner = varl("train_sim", "task:=typo.yaml", f"params_file:={QUICK}", *ADVICE, cwd=tmp_path)
    output, _ = runner.communicate(timeout=60)
    assert runner.returncode == 2, output
    assert "unknown parameter 'instrucion'" in output
    assert not list((tmp_path / "runs").iterdir())


def _parent(folder: Path) -> int:
    return int((folder / "stat").read_text().rpartition(")")[2].split()[1])


def test_on_a_terminal_the_learner_draws_its_bar(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    words = ["varl", "train_sim", "steps:=100", f"params_file:={QUICK}", "advisor:=none", "run_dir:=runs/shown"]
    runner = subprocess.Popen(
        words, stdin=slave, stdout=slave, stderr=slave, cwd=tmp_path, env=environment() | {"TERM": "xterm"}
    )
    os.close(slave)
    shown = _read_all(master, 90)
    os.close(master)
    assert runner.wait(20) == 0, shown
    assert "━" in shown  # the bar
    assert "success" in shown
    assert re.search(r"\x1b\[\d+msimulator *\|", shown)
    assert "learner   |" not in shown  # it has the terminal to itself


def test_on_a_terminal_what_is_said_last_stands_below_the_bar_in_one_line(tmp_path: Path) -> None:
    run = tmp_path / "runs" / ("a-name-that-is-longer-than-a-terminal-is-wide" + 2 * "-and-still-longer")
    master, slave = pty.openpty()
    words = ["varl", "train_sim", f"params_file:={QUICK}", "advisor:=none", f"run_dir:={run}"]
    runner = subprocess.Popen(
        words, stdin=slave, stdout=slave, stderr=slave, cwd=tmp_path, env=environment() | {"TERM": "xterm"}
    )
    os.close(slave)
    shown = _read_all(master, 60, until="updates/s")
    runner.send_signal(signal.SIGINT)
    shown = _read_all(master, 60)
    os.close(master)
    assert runner.wait(20) == 130, shown
    _, _, after = shown.partition("stopped; ")
    assert re.match(rf"to go on: varl train_sim resume:=true run_dir:=runs/{run.name}\r?\n", after), shown
    assert "updates/s" not in after, "the bar is above it"


def _read_all(descriptor: int, seconds: float, until: str = "") -> str:
    """What comes until the other end is closed, or ``until`` has come."""
    data, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline and not (until and until.encode() in data):
        if select.select([descriptor], [], [], 0.5)[0]:
            try:
                piece = os.read(descriptor, 65536)
            except OSError:  # the other end is closed
                break
            data += piece
    return data.decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train_sim", "task:=raech"], "unknown task 'raech'; did you mean 'reach'?"),
        (["trian_sim"], "unknown command 'trian_sim'; did you mean 'train_sim'?"),
        (["evaluate", "run:=runs/none"], "there is no run"),
    ],
)
def test_bad_use_is_one_line_and_status_2(tmp_path: Path, words: list[str], message: str) -> None:
    runner = varl(*words, cwd=tmp_path)
    output, _ = runner.communicate(timeout=60)
    assert runner.returncode == 2
    assert message in output
    assert output.count("\n") == 1
    assert not list(tmp_path.iterdir())
