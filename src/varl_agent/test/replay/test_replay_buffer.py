"""The replay buffer over the store: what Stable-Baselines3 samples, saves and pickles."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.callbacks import CheckpointCallback
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_common.errors import VarlError

from .numbered_rows import ACTIONS, BOX


@pytest.mark.parametrize("n_envs", [1, 3])
def test_samples_are_those_of_stable_baselines3(tmp_path: Path, n_envs: int) -> None:
    theirs = ReplayBuffer(60, BOX, ACTIONS, device="cpu", n_envs=n_envs)
    ours = PersistentReplayBuffer(60, BOX, ACTIONS, device="cpu", n_envs=n_envs, folder=tmp_path / "replay", slack=3)
    rng = np.random.default_rng(0)
    for step in range(100):
        obs, next_obs = rng.standard_normal((2, n_envs, 5)).astype(np.float32)
        action, reward = rng.uniform(-1, 1, (n_envs, 2)).astype(np.float32), rng.standard_normal(n_envs)
        done, timeout = rng.random(n_envs) < 0.3, rng.random(n_envs) < 0.5
        infos: list[dict[str, Any]] = [
            {"TimeLimit.truncated": bool(d and t)} for d, t in zip(done, timeout, strict=True)
        ]
        for buffer in (theirs, ours):
            buffer.add(obs, next_obs, action, reward, done, infos)
        assert (ours.pos, ours.full, ours.size()) == (theirs.pos, theirs.full, theirs.size())
        batches = []
        for buffer in (theirs, ours):
            np.random.seed(step)  # noqa: NPY002 (Stable-Baselines3 samples from the global generator)
            batches.append(buffer.sample(16))
        for expected, got in zip(*batches, strict=True):
            assert (expected is None and got is None) or (expected == got).all()
    rows, envs = np.arange(theirs.size()), np.zeros(theirs.size(), int)
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        assert np.array_equal(getattr(ours, name)[rows, envs], getattr(theirs, name)[rows, envs]), name


def test_images_are_stored_once_and_sampled_as_by_stable_baselines3(tmp_path: Path) -> None:
    space = spaces.Dict({"camera": spaces.Box(0, 255, (3, 4, 2), np.uint8), "state": BOX})
    theirs = DictReplayBuffer(50, space, ACTIONS, device="cpu", n_envs=2)
    ours = PersistentReplayBuffer(50, space, ACTIONS, device="cpu", n_envs=2, folder=tmp_path / "replay", slack=2)
    rng = np.random.default_rng(0)

    def look() -> dict[str, np.ndarray]:
        return {"camera": rng.integers(0, 256, (2, 3, 4, 2), np.uint8), "state": rng.random((2, 5), np.float32)}

    obs, episodes = look(), 2
    for step in range(120):
        next_obs = look()
        done = rng.random(2) < 0.2
        for buffer in (theirs, ours):
            buffer.add(obs, next_obs, rng.random((2, 2)) * 0, np.zeros(2), done, [{}, {}])
        fresh = look()
        obs = {
            key: np.where(done.reshape(2, *[1] * (value.ndim - 1)), fresh[key], value)
            for key, value in next_obs.items()
        }
        if step == 60:
            obs = look()  # reset from outside: the frames after the last transitions must stay
            done = np.array([True, True])
        episodes += int(done.sum())
        batches = []
        for buffer in (theirs, ours):
            np.random.seed(step)  # noqa: NPY002
            batches.append(buffer.sample(32))
        for part in ("observations", "next_observations"):
            for key in space:
                expected, got = (getattr(batch, part)[key] for batch in batches)
                assert (expected == got).all(), (step, part, key)
    assert ours.store._newest["camera"] <= 2 * 120 + episodes


def test_a_pickle_of_it_is_a_reference_to_its_folder(tmp_path: Path) -> None:
    buffer = PersistentReplayBuffer(10, BOX, ACTIONS, device="cpu", folder=tmp_path / "replay")
    pickled = pickle.dumps(buffer)
    assert len(pickled) < 4000
    assert pickle.loads(pickled) is buffer, "which can be open only once"
    buffer.add(*(np.zeros((1, *BOX.shape)),) * 2, np.zeros((1, *ACTIONS.shape)), np.ones(1), np.zeros(1), [{}])
    buffer.store.close()
    again = pickle.loads(pickled)
    assert (again.size(), again.buffer_size) == (1, 10)
    again.store.close()
    (tmp_path / "replay").rename(tmp_path / "elsewhere")
    with pytest.raises(VarlError, match="is not there; bring that folder back"):
        pickle.loads(pickled)


def test_a_checkpoint_callback_saves_it(tmp_path: Path) -> None:
    """``CheckpointCallback(save_replay_buffer=True)``, as with any replay of Stable-Baselines3."""
    model = SAC(
        "MlpPolicy",
        "Pendulum-v1",
        replay_buffer_class=PersistentReplayBuffer,
        replay_buffer_kwargs={"folder": tmp_path / "replay"},
        learning_starts=100,
        device="cpu",
    )
    model.learn(20, callback=CheckpointCallback(10, str(tmp_path), save_replay_buffer=True))
    (tmp_path / "rl_model_10_steps.zip").stat()
    model.load_replay_buffer(tmp_path / "rl_model_replay_buffer_10_steps.pkl")
    assert model.replay_buffer is not None
    assert model.replay_buffer.size() == 20
