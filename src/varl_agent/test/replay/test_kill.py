"""kill -9 at random instants of a training: it resumes each time, and ends as if nothing had been."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from varl_agent.replay.store import ReplayStore
from varl_agent.training import checkpoint
from varl_agent.training.training import Training

STEPS = 300


def train(make_training: Callable[..., Training], env_type: Any, path: Path) -> None:
    training = make_training(env_type, path, steps=STEPS)
    if checkpoint.list_checkpoints(training.folder.checkpoints):
        training.resume(*checkpoint.load_newest(training.folder.checkpoints, training.identity))
    training.run()
    training.close()


def rows(path: Path) -> np.ndarray:
    """What the replay has committed, looked at from outside."""
    store = ReplayStore(path / "replay", writable=False)
    return store.take(np.arange(store.count))


def policy(path: Path) -> bytes:
    _, state = checkpoint.load(checkpoint.list_checkpoints(path / "checkpoints")[-1])
    return b"".join(tensor.numpy().tobytes() for tensor in state["model"]["parameters"]["policy"].values())


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(10, marks=pytest.mark.timeout(300)),
        pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(5400)]),
    ],
)
def test_killed_and_resumed(
    make_training: Callable[..., Training], point_reach: Any, tmp_path: Path, kills: int
) -> None:
    fork = multiprocessing.get_context("fork")  # of this process, so that it starts at once
    whole, killed = tmp_path / "whole", tmp_path / "killed-0"
    began = time.monotonic()
    process = fork.Process(target=train, args=(make_training, point_reach, whole))
    process.start()
    process.join()
    assert process.exitcode == 0
    duration = time.monotonic() - began
    expected = rows(whole)
    assert len(expected) == STEPS

    instants, done, runs, unharmed = random.Random(0), 0, 0, True
    while True:
        began = time.monotonic()
        process = fork.Process(target=train, args=(make_training, point_reach, killed))
        process.start()
        assert process.pid is not None
        process.join(instants.uniform(0.02, 0.7) * duration if done < kills else None)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            done, unharmed = done + 1, False
        process.join()
        if (killed / "replay/header").exists():
            committed = rows(killed)
            assert committed.tobytes() == expected[: len(committed)].tobytes()
        if process.exitcode == -signal.SIGKILL:
            continue
        assert process.exitcode == 0, f"it did not resume after kill {done}"
        assert rows(killed).tobytes() == expected.tobytes()
        assert policy(killed) == policy(whole)
        if done == kills:
            break
        if unharmed:  # the machine was busier when the first run was timed
            duration = time.monotonic() - began
        runs, unharmed = runs + 1, True
        killed = tmp_path / f"killed-{runs}"
