"""What a person shows is kept whole, only where it succeeds, and a training starts with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.demonstrations import record
from varl_agent.replay.layout import Tag
from varl_agent.replay.minari import export_minari, import_minari
from varl_agent.sac.varl import VARL
from varl_common.errors import VarlError

h5py = pytest.importorskip("h5py")
PLAYED = ["hhh", "ihihS", "iiT", "hhT", "hS"]  # h: the person acts, i: nobody does; S: success, T: its time is over


class Shown(gym.Env):
    """Episodes in which a person does as PLAYED says; the gripper's action comes last."""

    observation_space = spaces.Box(-1, 1, (3,), np.float32)
    action_space = spaces.Box(-1, 1, (4,), np.float32)

    def __init__(self, plays: list[str]) -> None:
        self.plays, self.told = iter(plays), []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.play, self.time = next(self.plays), 0
        return self._state(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if self.time == len(self.play):
            raise KeyboardInterrupt
        self.told.append(action.tolist())
        who, last = self.play[self.time], self.play[self.time + 1 : self.time + 2]
        self.time += 1 + last.isupper()
        intervened = who == "h"
        executed = np.array([0.5, 0.0, 0.0, 1.0], np.float32) if intervened else action
        info = {"is_success": last == "S", "executed_action": executed, "intervened": intervened}
        return self._state(), float(last == "S"), last == "S", last == "T", info

    def _state(self) -> np.ndarray:
        return np.full(3, self.time / 10, np.float32)


def replay(folder: Path) -> PersistentReplayBuffer:
    return PersistentReplayBuffer(100, Shown.observation_space, Shown.action_space, device="cpu", folder=folder)


def recorded(folder: Path, episodes: int = 2) -> PersistentReplayBuffer:
    buffer = replay(folder)
    record(Shown(PLAYED[1:]), buffer, episodes, 0, lambda words: None, lambda: False)
    return buffer


def test_successes_are_kept_from_the_persons_first_action_on(tmp_path: Path) -> None:
    rows = recorded(tmp_path).store.take(np.arange(4))
    np.testing.assert_allclose(rows["observation"][:, 0], [0.1, 0.2, 0.3, 0.0], err_msg="whole, from the first h on")
    assert rows["tag"].tolist() == [Tag.HUMAN, Tag.POLICY, Tag.HUMAN, Tag.HUMAN]
    assert rows["done"].tolist() == [0, 0, 1, 1]
    assert recorded(tmp_path / "one", 1).store.count == 3


def test_an_arm_that_nobody_holds_stands_still_with_the_gripper_as_it_was(tmp_path: Path) -> None:
    env = Shown(["ihihS"])
    record(env, replay(tmp_path), 1, 0, lambda words: None, lambda: False)
    assert env.told == [[0.0, 0.0, 0.0, -1.0], [0.0, 0.0, 0.0, -1.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]]


def test_an_episode_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    buffer = replay(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        record(Shown(["hS", "hhh"]), buffer, 2, 0, lambda words: None, lambda: False)
    assert buffer.size() == 1


def test_a_training_starts_with_them_and_draws_on_their_success(tmp_path: Path) -> None:
    export_minari(recorded(tmp_path / "replay"), tmp_path / "dataset")
    model = VARL(
        "MlpPolicy",
        Shown([]),
        replay_buffer_class=PersistentReplayBuffer,
        replay_buffer_kwargs={"folder": tmp_path / "run"},
        buffer_size=100,
        success_fraction=0.5,
        policy_kwargs={"net_arch": [8]},
    )
    replay = model.replay_buffer
    assert isinstance(replay, PersistentReplayBuffer)
    assert import_minari(tmp_path / "dataset", replay, successes=model.successes) == 4
    assert (replay.store.take(np.arange(4))["tag"] == Tag.DEMONSTRATION).all()
    assert model.successes.own == 2
    assert sorted(set(model.successes.sample(200)[0])) == [0, 1, 2, 3]
    assert model.sampler.draw(1, 8)[0].rewards.max() == 1.0
    with pytest.raises(VarlError, match="not a Minari dataset"):
        import_minari(tmp_path, replay, successes=model.successes)
    assert len(model.successes) == 4


def test_actions_are_recorded_in_the_replays_units_and_come_back_in_the_environments(tmp_path: Path) -> None:
    class Wide(Shown):
        action_space = spaces.Box(np.float32([-2, -1, -1, -2]), np.float32([2, 1, 1, 2]))

    buffer = PersistentReplayBuffer(100, Wide.observation_space, Wide.action_space, device="cpu", folder=tmp_path / "r")
    record(Wide(["hhS"]), buffer, 1, 0, lambda words: None, lambda: False)
    assert buffer.store.rows["action"][:2].tolist() == [[0.25, 0.0, 0.0, 0.5]] * 2
    export_minari(buffer, tmp_path / "dataset")
    with h5py.File(tmp_path / "dataset/main_data.hdf5") as file:
        assert file["episode_0/actions"][()].tolist() == [[0.5, 0.0, 0.0, 1.0]] * 2


def test_an_episode_with_a_number_that_is_not_finite_is_dropped(tmp_path: Path) -> None:
    class Flickers(Shown):
        def _state(self) -> np.ndarray:
            return super()._state() * (np.nan if self.play == "hhhS" and self.time == 2 else 1)

    buffer, said = replay(tmp_path), []
    record(Flickers(["hhhS", "hS"]), buffer, 1, 0, said.append, lambda: False)
    assert buffer.store.count == 1
    assert "not solved, dropped" in said[0]
