"""Steps that an arm did not carry out, found out late: by its reset, or in a replay of another kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv
from varl_agent.replay.accepted_rows import AcceptedRows
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.success_index import SuccessIndex
from varl_agent.vec_env.fleet import Fleet
from varl_agent.vec_env.parallel_env import ParallelEnv
from varl_common.errors import VarlError

STATE, ACTIONS = spaces.Box(-9, 99, (1,), np.float32), spaces.Box(-1, 1, (1,), np.float32)
GOAL = spaces.Dict(dict.fromkeys(("observation", "achieved_goal", "desired_goal"), STATE))
KINDS = ["memory", "disk"]


def replay_of(kind: str, folder: Path, n_envs: int = 1) -> ReplayBuffer:
    if kind == "memory":
        return ReplayBuffer(20 * n_envs, STATE, ACTIONS, "cpu", n_envs=n_envs)
    return PersistentReplayBuffer(20 * n_envs, STATE, ACTIONS, "cpu", n_envs=n_envs, folder=folder)


def add(rows: AcceptedRows, t: int, *infos: dict[str, Any], done: tuple[bool, ...] = (False,)) -> None:
    n = len(infos)
    seen, after = np.full((n, 1), float(t)), np.full((n, 1), t + 1.0)
    rows.add(seen, after, np.zeros((n, 1)), np.full(n, float(t)), np.array(done), list(infos))


def rewards(replay: ReplayBuffer, env: int) -> list[float]:
    return replay.rewards[np.arange(replay.size()), np.full(replay.size(), env)].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_robot_that_resets_by_itself_finds_out_is_of_its_last_episode(tmp_path: Path, kind: str) -> None:
    replay, index = replay_of(kind, tmp_path, 2), SuccessIndex(20, 2)
    rows = AcceptedRows(replay, index)
    for t in range(5):
        ends = t == 4
        add(rows, t, {"begins_episode": t == 0}, {"begins_episode": t == 0, "is_success": ends}, done=(False, ends))
    assert len(index) == 5
    for t in (5, 6):  # its reset takes two steps of the other one
        last = {"void_before": 3} if t == 6 else {}
        add(rows, t, {}, {"stands_in": 0, **last}, done=(False, True))
    add(rows, 7, {}, {"begins_episode": True}, done=(False, False))
    assert rewards(replay, 0) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert rewards(replay, 1) == [0, 1, 1, 1, 1, 5, 6, 7], "the others stand as they were"
    assert len(index) == 0, "and nothing of that episode is drawn as a success"
    assert index.ended == 1


@pytest.mark.parametrize("kind", KINDS)
def test_no_more_than_that_episode_is_forgotten(tmp_path: Path, kind: str) -> None:
    replay = replay_of(kind, tmp_path, 2)
    rows = AcceptedRows(replay, SuccessIndex(20, 2))
    for t in range(6):
        add(rows, t, {}, {"begins_episode": t in (0, 4)}, done=(False, t in (3, 5)))
    add(rows, 6, {}, {"stands_in": 0, "void_before": 9}, done=(False, True))
    assert rewards(replay, 1) == [0, 1, 2, 3, 3, 3, 6]


class Line(gym.Env):
    """Its state is the step's number; ``late``: what the next reset finds out."""

    observation_space, action_space = STATE, ACTIONS

    def __init__(self) -> None:
        self.time, self.late = 0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.time, late = 0, self.late
        self.late = 0
        return np.zeros(1, np.float32), {"void_steps": late} if late else {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.time += 1
        return np.full(1, self.time, np.float32), float(self.time), False, self.time % 5 == 0, {}


@pytest.mark.parametrize("fleet", [False, True])
def test_what_the_reset_after_an_episode_finds_out_is_told_with_its_last_step(fleet: bool) -> None:
    line = Line()
    envs: Any = [line, Line()] if fleet else [line]
    env = Fleet(envs, lambda index: line, 0, True, 5.0, print) if fleet else ParallelEnv(envs, 0)
    env.reset()
    told: list[int] = []
    for step in range(10):
        line.late = 3 if step == 4 else 0
        infos = env.step(np.zeros((len(envs), 1), np.float32))[3]
        told.append(infos[0].get("void_steps", 0))
    env.close()
    assert told == [0, 0, 0, 0, 3, 0, 0, 0, 0, 0]


class Goals(gym.Env):
    observation_space, action_space = GOAL, ACTIONS

    def compute_reward(self, achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
        return np.zeros(len(achieved))


@pytest.mark.filterwarnings("ignore:The last trajectory")
@pytest.mark.parametrize(("stop", "left"), [(True, 3), (False, 4)])
def test_a_replay_for_hindsight_draws_neither_them_nor_their_goals(stop: bool, left: int) -> None:
    replay = HerReplayBuffer(30, GOAL, ACTIONS, DummyVecEnv([Goals]), "cpu", n_sampled_goal=4)
    rows = AcceptedRows(replay, SuccessIndex(30, 1))

    def step(t: int, info: dict[str, Any], done: bool = False) -> None:
        seen, after = (dict.fromkeys(GOAL.spaces, np.full((1, 1), at)) for at in (float(t), t + 1.0))
        rows.add(seen, after, np.zeros((1, 1)), np.full(1, float(t)), np.array([done]), [info])

    for t in range(6):
        step(t, {})
    step(6, {"void_steps": 3} | ({"stopped": "it does not follow"} if stop else {}), done=True)
    for t in range(50, 54):
        step(t, {}, done=t == 53)
    batch = replay.sample(500)
    drawn = {*range(left), *range(50, 54)}
    assert set(batch.observations["observation"].ravel().tolist()) == drawn
    goals = set(batch.observations["desired_goal"].ravel().tolist())
    assert goals <= {at + shift for at in drawn for shift in (0, 1)}


def test_a_replay_that_keeps_each_observation_once_refuses() -> None:
    replay = ReplayBuffer(10, STATE, ACTIONS, "cpu", optimize_memory_usage=True, handle_timeout_termination=False)
    rows = AcceptedRows(replay, SuccessIndex(10, 1))
    for t in range(4):
        add(rows, t, {})
    with pytest.raises(VarlError, match=r"3 steps were not carried out.*PersistentReplayBuffer"):
        add(rows, 4, {"stopped": "it does not follow", "void_steps": 3}, done=(True,))
