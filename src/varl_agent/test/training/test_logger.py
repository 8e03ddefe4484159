"""Curves of a run that was killed and resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from varl_agent.training import checkpoint
from varl_agent.training.training import Training


def curve(folder: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_a_resumed_run_tells_each_point_once(
    make_training: Callable[..., Training], point_reach: Any, tmp_path: Path
) -> None:
    def trained(path: Path, steps: int) -> Training:
        training = make_training(point_reach, path, steps=steps, update="autograd")
        if checkpoint.list_checkpoints(training.folder.checkpoints):
            training.resume(*checkpoint.load_newest(training.folder.checkpoints, training.identity))
        training.run()
        training.close()
        return training

    whole = trained(tmp_path / "whole", 400)
    killed = trained(tmp_path / "killed", 300)
    for path in checkpoint.list_checkpoints(killed.folder.checkpoints)[1:]:
        path.unlink()  # as if the process had died before these were written
    rest = trained(tmp_path / "killed", 400)
    for name in ("rollout/ep_rew_mean", "rollout/success_rate", "eval/mean_return"):
        expected = curve(whole.folder.tensorboard, name)
        assert len(expected) > 2
        assert curve(rest.folder.tensorboard, name) == expected
