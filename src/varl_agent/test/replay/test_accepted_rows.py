"""What is not finite, or did not take place, never reaches a replay, and the rest goes on."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from varl_agent.replay.accepted_rows import AcceptedRows
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.layout import Tag
from varl_agent.replay.success_index import SuccessIndex
from varl_agent.sac.varl import VARL
from varl_common.errors import VarlError

STATE, ACTIONS = spaces.Box(-9, 9, (2,), np.float32), spaces.Box(-1, 1, (1,), np.float32)
SEEN = spaces.Dict({"camera": spaces.Box(0, 255, (3, 36, 36), np.uint8), "state": STATE})
NOT_FINITE = [np.nan, np.inf, -np.inf, 1e300]  # the last as float32


def transition(t: int, n_envs: int = 1, **spoiled: float) -> dict[str, Any]:
    """The one from t to t + 1, the same in all environments; ``spoiled``: of the last of them."""
    row: dict[str, Any] = {
        "obs": np.full((n_envs, 2), t, np.float64),
        "next_obs": np.full((n_envs, 2), t + 1, np.float64),
        "action": np.zeros((n_envs, 1)),
        "reward": np.full(n_envs, t, np.float64),
    }
    for part, value in spoiled.items():
        row[part][(-1, -1)[: row[part].ndim]] = value
    return row


def add(rows: AcceptedRows, row: dict[str, Any], done: list[bool] | None = None, success: bool = False) -> None:
    n = len(row["reward"])
    rows.add(**row, done=np.array(done or [False] * n), infos=[{"is_success": success} for _ in range(n)])


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("obs", "observation[1]"),
        ("next_obs", "next_observation[1]"),
        ("action", "action[0]"),
        ("reward", "reward"),
    ],
)
def test_it_is_named_and_left_out(tmp_path: Path, part: str, name: str, value: float) -> None:
    replay = PersistentReplayBuffer(10, STATE, ACTIONS, "cpu", folder=tmp_path)
    index = SuccessIndex(10, 1)
    rows = AcceptedRows(replay, index)
    add(rows, transition(0))
    with pytest.warns(UserWarning, match=re.escape(f"environment 0: {name} is {value}")):
        add(rows, transition(1, **{part: value}))
    add(rows, transition(2), done=[True], success=True)
    assert replay.store.take(np.arange(replay.store.count))["reward"].tolist() == [0, 2]
    assert (index.time, index.ended, index.own) == (2, 1, 1)
    assert set(index.sample(50)[0]) == {1}, "the episode was broken off before what was left out"
    with pytest.raises(VarlError, match=f"finite numbers, but {name.partition('[')[0]}"):
        replay.add(**transition(1, **{part: value}), done=np.zeros(1), infos=[{}])
    assert replay.store.count == 2


@pytest.mark.parametrize(("executed", "stored"), [(1.5, 1), (-7, -1), (0.25, 0.25)])
def test_an_action_beyond_its_bounds_is_stored_at_them(tmp_path: Path, executed: float, stored: float) -> None:
    replay = PersistentReplayBuffer(10, STATE, ACTIONS, "cpu", folder=tmp_path)
    with warnings.catch_warnings(action="ignore"):
        add(AcceptedRows(replay, SuccessIndex(10, 1)), transition(0, action=executed))
    assert replay.store.take(np.arange(replay.store.count))["action"].ravel().tolist() == [stored] * (
        stored is not None
    )


def test_of_several_environments_the_others_are_kept(tmp_path: Path) -> None:
    replay = PersistentReplayBuffer(20, STATE, ACTIONS, "cpu", n_envs=2, folder=tmp_path)
    index = SuccessIndex(10, 2)
    rows = AcceptedRows(replay, index)
    add(rows, transition(0, 2))
    with pytest.warns(UserWarning, match="environment 1: next_observation"):
        add(rows, transition(1, 2, next_obs=np.nan), done=[True, True], success=True)
    taken = replay.store.take(np.repeat([0, 1], 2), np.tile([0, 1], 2))
    assert np.isfinite(taken["next_observation"]).all()
    assert taken["reward"].tolist() == [0, 0, 1, 1]
    assert taken["tag"].tolist() == [Tag.POLICY] * 3 + [Tag.STAND_IN]
    assert (index.ended, index.own) == (2, 2), "both episodes have ended and succeeded"
    assert set(index.sample(50)[1]) == {0}, "and of the second one nothing is drawn"


def test_what_follows_is_no_continuation_in_a_replay_of_returns() -> None:
    replay = NStepReplayBuffer(10, STATE, ACTIONS, "cpu", n_steps=3, gamma=1.0)
    rows = AcceptedRows(replay, SuccessIndex(10, 1))
    for t in (1, 2, 3, 4):
        with warnings.catch_warnings(action="ignore"):
            add(rows, transition(t, **({"obs": np.nan} if t == 3 else {})))
    batch = replay._get_samples(np.array([0]))
    assert batch.rewards.tolist() == [[1 + 2]]
    assert batch.next_observations.tolist() == [[3, 3]]
    assert batch.dones.tolist() == [[0]], "it went on, only unseen"


def test_of_a_compact_replay_each_next_observation_stays_what_it_was() -> None:
    replay = ReplayBuffer(10, STATE, ACTIONS, "cpu", optimize_memory_usage=True, handle_timeout_termination=False)
    rows = AcceptedRows(replay, SuccessIndex(10, 1))
    for t in (1, 2, 3, 4):
        with warnings.catch_warnings(action="ignore"):
            add(rows, transition(t, **({"reward": np.nan} if t == 3 else {})))
    assert replay.dones[:3, 0].tolist() == [0, 1, 0], "from row 1 on nothing is expected of a state that is lost"


def stores(tmp_path: Path, n_envs: int) -> list[ReplayBuffer]:
    """An empty replay of each kind that forgets, 20 time rows long."""
    in_memory = ReplayBuffer(20 * n_envs, STATE, ACTIONS, "cpu", n_envs=n_envs)
    return [in_memory, PersistentReplayBuffer(20 * n_envs, STATE, ACTIONS, "cpu", n_envs=n_envs, folder=tmp_path)]


def rewards(replay: ReplayBuffer, env: int = 0) -> list[float]:
    """All that can be drawn of an environment, oldest first."""
    size = replay.size()
    rows = (replay.pos - size + np.arange(size)) % replay.buffer_size
    return replay.rewards[rows, np.full(size, env)].tolist()


@pytest.mark.parametrize("kind", [0, 1], ids=["memory", "disk"])
@pytest.mark.parametrize("before", [4, 30], ids=["filling", "full"])
@pytest.mark.parametrize(("stop", "void", "left"), [(True, 0, 0), (True, 3, 3), (False, 3, 3), (False, 1, 1)])
def test_steps_that_were_not_carried_out_are_forgotten(
    tmp_path: Path, kind: int, before: int, stop: bool, void: int, left: int
) -> None:
    replay, index = stores(tmp_path, 1)[kind], SuccessIndex(20, 1)
    rows = AcceptedRows(replay, index)
    for t in range(before):
        add(rows, transition(t), done=[t == 0])
    info = {"void_steps": void} | ({"stopped": "it does not follow"} if stop else {})
    rows.add(**transition(before), done=np.array([True]), infos=[info])
    stored = left if stop else left - 1  # the present one was not stored yet
    expected = list(range(before - stored)) + [before - stored - 1] * stored
    assert rewards(replay) == expected[-20:]
    newest = (replay.pos - 1 - np.arange(stored)) % 20
    assert (replay.dones[newest, 0 * newest] == 1).all()
    assert (replay.timeouts[newest, 0 * newest] == 1).all(), "cut, not ended"
    add(rows, transition(99), done=[True], success=True)
    assert rewards(replay)[-1] == 99
    assert index.time % 20 == replay.pos
    assert index.sample(9)[0].tolist() == [(index.time - 1) % 20] * 9, "a new episode has begun"


@pytest.mark.parametrize("kind", [0, 1], ids=["memory", "disk"])
def test_no_other_episode_and_no_other_environment_loses_anything(tmp_path: Path, kind: int) -> None:
    replay = stores(tmp_path, 2)[kind]
    rows = AcceptedRows(replay, SuccessIndex(20, 2))
    for t in range(6):
        add(rows, transition(t, 2), done=[False, t == 3])
    infos = [{}, {"stopped": "it does not follow", "void_steps": 9}]
    rows.add(**transition(6, 2), done=np.array([False, True]), infos=infos)
    assert rewards(replay, 0) == [0, 1, 2, 3, 4, 5, 6]
    assert rewards(replay, 1) == [0, 1, 2, 3, 3, 3, 6], "and the other one's transition stands in"


@pytest.mark.parametrize("kind", [0, 1], ids=["memory", "disk"])
def test_where_nothing_was_carried_out_nothing_is_left(tmp_path: Path, kind: int) -> None:
    replay, index = stores(tmp_path, 1)[kind], SuccessIndex(20, 1)
    rows = AcceptedRows(replay, index)
    for t in range(3):
        add(rows, transition(t))
    rows.add(**transition(3), done=np.array([True]), infos=[{"stopped": "it does not follow", "void_steps": 6}])
    assert replay.size() == 0
    add(rows, transition(4), done=[True], success=True)
    assert rewards(replay) == [4]
    assert set(index.sample(5)[0]) == {0}


def test_a_robot_that_stands_in_for_a_stopped_one_is_not_blamed(tmp_path: Path) -> None:
    replay = PersistentReplayBuffer(40, STATE, ACTIONS, "cpu", n_envs=2, folder=tmp_path)
    rows = AcceptedRows(replay, SuccessIndex(20, 2))
    for t in range(4):
        add(rows, transition(t, 2))
    stopped = {"stopped": "it does not follow", "void_steps": 2}
    rows.add(**transition(4, 2), done=np.array([True, True]), infos=[stopped, stopped | {"stands_in": 0}])
    assert rewards(replay, 0) == [0, 1, 1, 1]
    assert rewards(replay, 1) == [0, 1, 2, 3]


def test_rows_that_are_replaced_are_whole_once_they_are_on_the_disk_again(tmp_path: Path) -> None:
    replay = PersistentReplayBuffer(20, STATE, ACTIONS, "cpu", folder=tmp_path)
    rows = AcceptedRows(replay, SuccessIndex(20, 1))
    for t in range(5):
        add(rows, transition(t))
    replay.store.flush()
    rows.add(**transition(5), done=np.array([True]), infos=[{"stopped": "it does not follow", "void_steps": 2}])
    replay.store.close()
    again = PersistentReplayBuffer(20, STATE, ACTIONS, "cpu", folder=tmp_path)
    assert rewards(again) == [0, 1, 2, 2, 2]


class Faulty(gym.Env):
    """``fault`` makes an observation, or the reward, of every seventh step what no network can take."""

    def __init__(self, fault: str, value: float, space: spaces.Space = STATE) -> None:
        self.observation_space, self.action_space = space, ACTIONS
        self.fault, self.value, self.time = fault, value, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._seen(0.0), {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time += 1
        value = self.value if self.time % 7 == 0 else 0.5
        info = {"executed_action": np.array([value if self.fault == "action" else 0.5])}
        reward = value if self.fault == "reward" else 0.5
        return self._seen(value if self.fault == "observation" else 0.5), reward, False, self.time % 10 == 0, info

    def _seen(self, value: float) -> Any:
        state = np.full(2, value, np.float32)
        return state if self.observation_space is STATE else {"camera": np.zeros((3, 36, 36), np.uint8), "state": state}


@pytest.mark.filterwarnings("ignore:a transition that is not finite")
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("persistent", [False, True], ids=["memory", "disk"])
@pytest.mark.parametrize("arms", [1, 2])
@pytest.mark.parametrize("fault", ["observation", "reward", "action"])
@pytest.mark.parametrize("value", [np.nan, 1e300])
def test_a_training_goes_on(tmp_path: Path, persistent: bool, arms: int, fault: str, value: float) -> None:
    assert_it_learns(tmp_path if persistent else None, arms, lambda: Faulty(fault, value), "MlpPolicy")


@pytest.mark.filterwarnings("ignore:a transition that is not finite")
def test_a_training_on_dicts_goes_on(tmp_path: Path) -> None:
    assert_it_learns(tmp_path, 1, lambda: Faulty("observation", np.nan, SEEN), "MultiInputPolicy")


@pytest.mark.filterwarnings("ignore:a transition that is not finite", "ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize("fault", ["observation", "reward"])
@pytest.mark.parametrize("value", [np.nan, 1e300])
@pytest.mark.parametrize("space", [STATE, SEEN], ids=["Box", "Dict"])
def test_the_statistics_of_vec_normalize_are_those_of_what_was_accepted(
    fault: str, value: float, space: spaces.Space
) -> None:
    keys = ["state"] if space is SEEN else None
    env = VecNormalize(DummyVecEnv([lambda: Faulty(fault, value, space)] * 2), norm_obs_keys=keys)
    policy = "MultiInputPolicy" if space is SEEN else "MlpPolicy"
    arguments = {"learning_starts": 4, "batch_size": 4, "buffer_size": 200, "policy_kwargs": {"net_arch": [4]}}
    model = VARL(policy, env, device="cpu", **arguments)
    model.learn(40)
    observed: Any = env.obs_rms["state"] if space is SEEN else env.obs_rms
    for statistics in (observed, env.ret_rms):
        assert np.isfinite(statistics.mean).all()
        assert (np.abs(statistics.mean) < 100).all()
        assert (statistics.var < 1e4).all()
    assert all(th.isfinite(parameters).all() for parameters in model.policy.state_dict().values())


def assert_it_learns(folder: Path | None, arms: int, make: Any, policy: str) -> None:
    on_disk: dict[str, Any] = {
        "replay_buffer_class": PersistentReplayBuffer,
        "replay_buffer_kwargs": {"folder": folder},
    }
    model = VARL(
        policy,
        DummyVecEnv([make] * arms),
        learning_starts=4,
        batch_size=4,
        buffer_size=200,
        success_fraction=0.5,
        policy_kwargs={"net_arch": [4]},
        device="cpu",
        **(on_disk if folder else {}),
    )
    model.learn(40)
    assert model._n_updates > 10
    for parameters in model.policy.state_dict().values():
        assert th.isfinite(parameters).all()
    assert 0 < model.replay_buffer.size() < 40  # type: ignore[union-attr]
