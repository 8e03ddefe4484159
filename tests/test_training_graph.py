"""Training over the graph: reproducible, advised, stopped, resumed, evaluated."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")

from varl_agent.replay.store import ReplayStore
from varl_agent.training import checkpoint

from .conftest import CONFIG


def wait_until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.02)


def checkpoints(run: Path) -> list[Path]:
    return checkpoint.list_checkpoints(run / "checkpoints")


def stored(run: Path) -> int:
    """Transitions in the run's replay."""
    return ReplayStore(run / "replay", writable=False).count if (run / "replay/header").exists() else 0


def final_state(run: Path) -> dict[str, Any]:
    _, state = checkpoint.load(checkpoints(run)[-1])
    return {"record": state["record"] | {"wall_s": 0}, "parameters": state["model"]["parameters"]}


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(np.array_equal(np.asarray(a), np.asarray(b), equal_nan=np.asarray(a).dtype.kind == "f"))


def test_same_seed_same_run_even_where_it_was_killed(processes: Any, tmp_path: Path) -> None:
    processes.robot()
    processes.advisor()
    whole, killed = tmp_path / "runs/whole", tmp_path / "runs/killed"
    assert processes.learner(whole, 220, seed=3, advisor="scripted").wait(100) == 0

    learner = processes.learner(killed, 220, seed=3, advisor="scripted")
    wait_until(lambda: len(checkpoints(killed)) >= 3)
    learner.signal(signal.SIGKILL)
    learner.wait(60)
    learner = processes.learner(killed, 220, seed=3, advisor="scripted", resume=True)
    assert learner.wait(100) == 0
    assert "continues from" in learner.output
    assert equal(final_state(killed), final_state(whole))

    summary = json.loads((whole / "summary.json").read_text())
    assert {"success_rate", "first_success_step", "wall_s"} <= summary.keys()
    assert (summary["task"], summary["seed"], summary["steps"], summary["queries"]) == ("reach", 3, 220, 2)
    assert summary["advice_used"] > 0
    assert (tmp_path / "runs/latest").resolve() == killed
    assert {"curve.png", "policy.png", "policy.gif"} <= {path.name for path in whole.iterdir()}
    assert list((whole / "tensorboard").iterdir())
    config = yaml.safe_load((whole / "config.yaml").read_text())
    assert config["learner"]["advice"]["trigger"] == [80, 130]
    assert config["env"]["robot"] == "varl_arm"


def test_ctrl_c_saves_and_ends_even_while_a_step_waits(processes: Any, tmp_path: Path) -> None:
    _, env = processes.robot()
    run = tmp_path / "run"
    learner = processes.learner(run, 100_000)
    wait_until(lambda: len(checkpoints(run)) > 1)
    learner.signal(signal.SIGINT)
    assert learner.wait(60) == 0
    assert "resume:=true" in learner.output
    saved, before = checkpoints(run)[-1], stored(run)

    learner = processes.learner(run, 100_000, resume=True, checkpoint_every=50_000)  # none but at the end
    wait_until(lambda: "continues from" in learner.output)
    wait_until(lambda: stored(run) > before)
    env.signal(signal.SIGSTOP)
    time.sleep(0.5)
    learner.signal(signal.SIGINT)
    learner.signal(signal.SIGINT)
    assert learner.wait(60) == 0
    assert checkpoints(run)[-1] > saved


def test_a_dead_env_ends_the_run_by_name_with_a_checkpoint(processes: Any, tmp_path: Path) -> None:
    _, env = processes.robot()
    run = tmp_path / "run"
    learner = processes.learner(run, 100_000, checkpoint_every=50_000)
    wait_until(lambda: "learns reach" in learner.output)
    wait_until(lambda: stored(run) > 0)
    env.signal(signal.SIGKILL)
    assert learner.wait(10) == 2
    assert "/env/step gave no answer" in learner.output
    assert "Traceback" not in learner.output
    assert len(checkpoints(run)) == 2  # of the start and of the end


def test_training_goes_on_without_an_advisor(processes: Any, tmp_path: Path) -> None:
    processes.robot()
    learner = processes.learner(tmp_path / "run", 250, advisor="scripted", **{"sac.utd": 0.1})
    assert learner.wait(60) == 0
    assert "goes on without advice" in learner.output
    assert json.loads((tmp_path / "run/summary.json").read_text())["advice_used"] == 0


@pytest.mark.parametrize(
    ("task", "advisor", "told"), [("hover", "sight", True), ("hover", "openai", False), ("reach", "sight", False)]
)
def test_that_nobody_advises_on_a_task_is_told_before_the_first_step(
    task: str, advisor: str, told: bool, processes: Any, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load((CONFIG / "tasks/reach.yaml").read_text()) | {"task": task}))
    processes.robot(file)
    processes.advisor()
    learner = processes.learner(tmp_path / "run", 100_000, advisor=advisor)
    wait_until(lambda: f"learns {task} with" in learner.output)
    before, _ = learner.output.split(f"learns {task} with")
    assert ("learns without advice: neither advisor:=sight nor scripted knows the task 'hover'" in before) == told
    assert ("keep that name in your file (task: reach), else see docs/tasks.md" in before) == told


def test_services_pause_save_and_stop_and_the_status_tells(processes: Any, tmp_path: Path, ros: int) -> None:
    import rclpy
    from std_srvs.srv import Trigger
    from varl_common.ros.qos import LATCHED

    from varl_interfaces.msg import TrainingStatus

    processes.robot()
    run = tmp_path / "run"
    learner = processes.learner(run, 100_000, checkpoint_every=90_000)
    node = rclpy.create_node("someone")
    heard: list[TrainingStatus] = []
    node.create_subscription(TrainingStatus, "/learner/status", heard.append, LATCHED)

    def call(name: str) -> None:
        client = node.create_client(Trigger, f"/learner/{name}")
        assert client.wait_for_service(30)
        future = client.call_async(Trigger.Request())
        rclpy.spin_until_future_complete(node, future, timeout_sec=30)
        assert future.result().success

    def hear(condition: Callable[[TrainingStatus], bool]) -> None:
        def heard_it() -> bool:
            rclpy.spin_once(node, timeout_sec=0.1)
            return bool(heard) and condition(heard[-1])

        wait_until(heard_it)

    hear(lambda status: status.phase == TrainingStatus.TRAINING and status.utd > 0)
    assert (heard[-1].run, heard[-1].total_steps) == ("run", 100_000)
    assert heard[-1].replay_size > 0
    call("pause")
    hear(lambda status: status.phase == TrainingStatus.PAUSED)
    step = heard[-1].step
    time.sleep(1)
    call("save")
    wait_until(lambda: checkpoints(run)[-1].stem.endswith(f"{step:012d}"))
    call("resume")
    hear(lambda status: status.phase == TrainingStatus.TRAINING and status.step > step)
    call("stop")
    assert learner.wait(20) == 0
    assert len(checkpoints(run)) == 3
    node.destroy_node()


def test_evaluate_plays_the_trained_policy(processes: Any, tmp_path: Path) -> None:
    processes.robot()
    run = tmp_path / "run"
    assert processes.learner(run, 100).wait(60) == 0
    evaluate = processes.node("varl_agent", "evaluate", run_dir=run, episodes=2)
    assert evaluate.wait(30) == 0
    values = json.loads((run / "evaluation.json").read_text())
    assert (values["task"], values["episodes"], values["step"]) == ("reach", 2, 100)


def test_a_run_starts_from_another(processes: Any, tmp_path: Path) -> None:
    processes.robot()
    first, second = tmp_path / "first", tmp_path / "second"
    assert processes.learner(first, 80).wait(60) == 0
    learner = processes.learner(second, 20, start_from=first)
    assert learner.wait(60) == 0
    assert "starts from first, step-000000000080, and 80 of its transitions" in learner.output
    summary = json.loads((second / "summary.json").read_text())
    assert (summary["steps"], summary["updates"]) == (20, 20), "it learns from its first step on"


def test_a_run_of_another_task_is_refused(processes: Any, tmp_path: Path) -> None:
    _, env = processes.robot()
    run = tmp_path / "run"
    assert processes.learner(run, 60).wait(60) == 0
    env.signal(signal.SIGINT)
    env.wait(60)
    processes.robot("push")
    for node in (
        processes.node("varl_agent", "evaluate", run_dir=run, episodes=2),
        processes.learner(run, 100, resume=True),
    ):
        assert node.wait(30) == 2
        assert "is of task 'reach', but this is task 'push'; start the graph with that task" in node.output
        assert "Traceback" not in node.output


@pytest.mark.parametrize(
    ("executable", "parameters", "words"),
    [
        ("learner", {"resume": True}, "does not exist; name the run_dir of a run that has a checkpoint"),
        ("learner", {"sac.gama": 1.0, "patience": 1.0}, "unknown parameter 'sac.gama'; did you mean 'sac.gamma'?"),
        ("learner", {"patience": 1.0}, "gave up after 1 s: waiting for /env/describe"),
        ("evaluate", {}, "holds no run"),
    ],
)
def test_bad_input_is_one_line(
    processes: Any, tmp_path: Path, executable: str, parameters: dict[str, Any], words: str
) -> None:
    if executable == "learner":
        node = processes.learner(tmp_path / "run", 100, **parameters)
    else:
        node = processes.node("varl_agent", "evaluate", run_dir=tmp_path / "run")
    assert node.wait(30) == 2
    assert words in node.output
    assert "Traceback" not in node.output
    assert not (tmp_path / "run").exists(), "a run that never began"


def test_ctrl_c_before_a_run_begins_leaves_none_and_says_so(processes: Any, tmp_path: Path) -> None:
    learner = processes.learner(tmp_path / "run", 100)
    wait_until(lambda: "waiting for /env/describe" in learner.output)
    learner.signal(signal.SIGINT)
    assert learner.wait(30) == 0
    assert "stopped before it began: no run is left" in learner.output
    assert not (tmp_path / "run").exists()
