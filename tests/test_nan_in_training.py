"""A velocity that is no number, over DDS and with a learner: a stop by name, and nothing of it is kept."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
import yaml

from .arm_watcher import ROBOT, ROBOT_FILE, ROOT, URDF, Watcher

pytest.importorskip("rclpy")

from varl_agent.replay.store import ReplayStore
from varl_agent.training import checkpoint


def stored(run: Path) -> int:
    return ReplayStore(run / "replay", writable=False).count if (run / "replay/header").exists() else 0


def all_finite(values: Any) -> bool:
    if isinstance(values, dict):
        return all(map(all_finite, values.values()))
    if isinstance(values, list | tuple):
        return all(map(all_finite, values))
    if isinstance(values, th.Tensor | np.ndarray | float):
        return bool(th.isfinite(th.as_tensor(values)).all())
    return True


def test_a_run_goes_on_after_it_and_nothing_that_is_not_finite_is_kept(
    processes: Any, ros: int, robot_values: dict[str, Any], tmp_path: Path
) -> None:
    robot_file = tmp_path / "ur5e.yaml"
    robot_file.write_text(yaml.safe_dump(robot_values))
    processes.node("varl_robot_env", "standin_driver", robot_file=ROBOT_FILE, urdf_file=URDF, rate=250.0)
    task_file = ROOT / "config/tasks/reach.yaml"
    processes.node("varl_robot_env", "env", robot_file=robot_file, task_file=task_file, backend="real")
    run = tmp_path / "run"
    quick = {"checkpoint_every": 20, "evaluate_every": 100_000, "sac.update": "autograd", "sac.utd": 0.2}
    learner = processes.learner(run, 100_000, **quick)
    watcher = Watcher()

    def wait(condition: Callable[[], object]) -> None:
        """Until it holds; a stop that was not asked for, as on a starved machine, is left meanwhile."""
        end = time.monotonic() + 150
        while not condition():
            assert time.monotonic() < end, learner.output[-2000:]
            watcher.spin(0.1)
            if watcher.status and watcher.status.stopped:
                watcher.call("env/rearm")

    wait(lambda: stored(run) > 80)
    for _ in range(3):
        before = stored(run)
        watcher.fault("nan_velocity")
        watcher.spin(60.0, lambda: watcher.status and watcher.status.stopped)
        assert watcher.status
        assert f"joint state of {ROBOT.joints[2]} has velocity nan" in watcher.status.reason
        watcher.fault("none")
        wait(lambda before=before: stored(run) > before + 20)  # type: ignore[misc]
    wait(lambda: len(checkpoint.list_checkpoints(run / "checkpoints")) > 2)
    learner.signal(signal.SIGINT)
    assert learner.wait(60) == 0

    rows = ReplayStore(run / "replay", writable=False)
    kept = rows.take(np.arange(rows.count))
    for part in ("observation", "action", "next_observation", "reward"):
        assert np.isfinite(kept[part]).all(), part
    for path in checkpoint.list_checkpoints(run / "checkpoints"):
        assert all_finite(checkpoint.load(path)[1]["model"]["parameters"])
    before = stored(run)
    learner = processes.learner(run, 100_000, resume=True, **quick)
    wait(lambda: stored(run) > before + 20)
    assert "continues from" in learner.output


pytestmark = pytest.mark.timeout(400)
