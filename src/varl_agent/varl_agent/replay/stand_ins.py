"""Rows of a replay that are not to be learned from, replaced by the transition before them: true data, stored twice."""

from __future__ import annotations

import warnings

import numpy as np
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.buffers import ReplayBuffer

from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.layout import Tag
from varl_agent.replay.store import ReplayStore


def replace_newest(replay: ReplayBuffer, env: int, count: int) -> None:
    """Put the transition before the newest ``count`` of an environment in their places, each cut by time. Where there
    is none before, all is forgotten. A replay whose rows share their observations keeps them, and says so."""
    if count >= replay.size():
        replay.reset()
    elif isinstance(replay, PersistentReplayBuffer):
        store = replay.store
        times = np.arange(store.count - count, store.count)
        store.overwrite(times, env, _stand_ins(store.take(np.full(count, times[0] - 1), env)), hidden=True)
    elif isinstance(replay, HerReplayBuffer) or replay.optimize_memory_usage:
        kind = type(replay).__name__
        warnings.warn(f"{count} steps were not carried out, and this {kind} cannot forget them", stacklevel=2)
    else:
        ends = [replay.dones, *([replay.timeouts] if replay.handle_timeout_termination else [])]
        arrays = [replay.actions, replay.rewards, *ends]
        for part in (replay.observations, replay.next_observations):
            arrays += part.values() if isinstance(part, dict) else [part]
        source, rows = replay.pos - 1 - count, (replay.pos - 1 - np.arange(count)) % replay.buffer_size
        for end in ends:  # of the source, too: what came after it is gone
            end[source, env] = 1
        for array in arrays:
            array[rows, env] = array[source, env]


def replace_broken_rows(store: ReplayStore) -> int:
    """Replace each transition that is not finite by the one before it; returns how many there were.

    For stores of former versions, which took whatever came. Where nothing is finite, all is forgotten.
    """
    held, n = np.arange(store.oldest, store.count), store.layout.n_envs
    if not len(held):
        return 0
    times, envs = np.repeat(held, n), np.tile(np.arange(n), len(held))
    blocks = np.array_split(np.arange(len(times)), len(times) // 10_000 + 1)  # so that not all rows are copied at once
    finite = np.concatenate([_finite(store.take(times[block], envs[block])) for block in blocks])
    if finite.all():
        return 0
    if finite.any():
        before = np.maximum.accumulate(np.where(finite, np.arange(len(times)), np.argmax(finite)))[~finite]
        stand_ins = _stand_ins(store.take(times[before], envs[before]))
        store.overwrite(times[~finite], envs[~finite], stand_ins, hidden=False)
    else:
        store.rewind(0)
    return int((~finite).sum())


def _stand_ins(rows: np.ndarray) -> np.ndarray:
    rows["tag"], rows["done"], rows["timeout"] = Tag.STAND_IN, 1, 1
    return rows


def _finite(rows: np.ndarray) -> np.ndarray:
    """(n,) whether all numbers of a row are finite."""
    parts = (rows[name] for name in ("observation", "action", "next_observation", "reward"))
    return np.all([np.isfinite(part).all(axis=tuple(range(1, part.ndim))) for part in parts], axis=0)
