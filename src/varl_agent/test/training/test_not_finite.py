"""A broken sensor or a diverged policy ends neither a run nor what was saved of it before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.layout import Tag
from varl_agent.training import checkpoint
from varl_agent.training.model_state import weight_not_finite
from varl_agent.training.training import Training
from varl_common.errors import VarlError

Make = Callable[..., Training]


def resume(training: Training) -> str:
    return training.resume(*checkpoint.load_newest(training.folder.checkpoints, training.identity))


def replay_of(training: Training) -> PersistentReplayBuffer:
    assert isinstance(training.model.replay_buffer, PersistentReplayBuffer)
    return training.model.replay_buffer


@pytest.mark.filterwarnings("ignore:a transition that is not finite")
@pytest.mark.parametrize("beside", [False, True], ids=["lock-step", "real time"])
@pytest.mark.parametrize("arms", [1, 2])
def test_an_observation_of_nan_ends_its_episode_and_not_the_run(
    make_training: Make, point_reach: Any, tmp_path: Path, arms: int, beside: bool
) -> None:
    class Flickers(point_reach):  # type: ignore[misc]
        """The state is lost in the fifth step of each episode, and in those after it, until a reset."""

        def _observation(self) -> np.ndarray:
            state = super()._observation()
            return np.where([self.time >= 5, False, False, False], np.nan, state).astype(np.float32)

    training = make_training(Flickers, tmp_path, arms=arms, beside=beside, update="autograd")
    training.run()
    record, rows = training.record, replay_of(training).store.rows
    assert record.episodes
    assert {episode.length for episode in record.episodes} <= {1, 2, 3, 4, 5}
    assert all(np.isfinite(episode.episode_return) for episode in record.episodes)
    assert len(record.episodes) == training.model.successes.ended
    assert np.isfinite(rows["next_observation"]).all()
    assert training.model._n_updates == 150
    assert weight_not_finite(checkpoint.load_newest(training.folder.checkpoints, training.identity)[1]["model"]) == ""
    training.close()
    assert "step 200" in resume(make_training(Flickers, tmp_path, arms=arms, beside=beside, steps=300))


def test_an_episode_that_begins_with_nan_is_an_error_by_name(
    make_training: Make, point_reach: Any, tmp_path: Path
) -> None:
    class Blind(point_reach):  # type: ignore[misc]
        def reset(self, **kwargs: Any) -> Any:
            return super().reset(**kwargs)[0] * np.nan, {}

    with pytest.raises(VarlError, match=r"an episode begins where observation\[0\] is nan"):
        make_training(Blind, tmp_path).run()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_diverged_policy_is_not_saved_and_a_resume_goes_back_before_it(
    make_training: Make, point_reach: Any, tmp_path: Path, value: float
) -> None:
    training = make_training(point_reach, tmp_path, steps=100, update="autograd")
    training.run()
    good = checkpoint.list_checkpoints(training.folder.checkpoints)
    with torch.no_grad():
        training.model.critic_target.qf0[0].weight[0, 0] = value
    with pytest.raises(VarlError, match=r"diverged, model/policy/critic_target.qf0.0.weight\[0, 0\] is .*not saved"):
        training.save()
    assert checkpoint.list_checkpoints(training.folder.checkpoints) == good
    training.close()


def test_a_run_that_diverges_ends_in_a_sentence(make_training: Make, point_reach: Any, tmp_path: Path) -> None:
    """By rewards that are finite, and whose squares are not."""

    class Explodes(point_reach):  # type: ignore[misc]
        def step(self, action: np.ndarray) -> Any:
            observation, _, *rest = super().step(action)
            return observation, 1e38, *rest

    training = make_training(Explodes, tmp_path, steps=100, update="autograd")
    with pytest.raises(VarlError, match="learning has diverged"):
        training.run()
    _, state = checkpoint.load_newest(training.folder.checkpoints, training.identity)
    assert not weight_not_finite(state["model"])


def test_what_a_former_version_left_is_passed_over(make_training: Make, point_reach: Any, tmp_path: Path) -> None:
    first = make_training(point_reach, tmp_path, steps=100, update="autograd")
    first.run()
    path, state = checkpoint.load_newest(first.folder.checkpoints, first.identity)
    state["model"]["parameters"]["critic.optimizer"]["state"][0]["exp_avg"][0, 0] = np.nan
    checkpoint.save(first.folder.checkpoints, 200, first.identity, state, keep=5)
    store = replay_of(first).store
    before = store.rows["observation"][4].copy()
    for field, row in (("observation", 5), ("reward", 0), ("next_observation", 50)):
        store.rows[field][row] = np.nan
    first.close()

    second = make_training(point_reach, tmp_path, steps=200)
    said = resume(second)
    assert str(path) in said
    assert "3 stored transitions are not finite and were replaced" in said
    rows = replay_of(second).store.take(np.arange(100))
    assert np.isfinite(rows["reward"]).all()
    assert np.isfinite(rows["next_observation"]).all()
    assert np.array_equal(rows["observation"][5], before)
    assert np.flatnonzero(rows["tag"] == Tag.STAND_IN).tolist() == [0, 5, 50]
    second.run()
    second.close()
    assert "replaced" not in resume(make_training(point_reach, tmp_path, steps=300))
