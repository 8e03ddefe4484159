"""Rows of a replay that are not to be learned from, replaced by the transition before them: true data, stored twice."""

from __future__ import annotations

import numpy as np
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.buffers import ReplayBuffer
from varl_common.errors import VarlError

from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.layout import Tag
from varl_agent.replay.store import ReplayStore


def replace_rows(replay: ReplayBuffer, env: int, count: int, after: int = 0) -> None:
    """Put another transition of an environment in the places of ``count`` of its rows, each cut by time: the one before
    them. So many rows ``after`` them stay as they are. Where there is none before or after, all is forgotten.

    A replay for hindsight gives them to no episode, instead: their goals are not drawn either.

    Raises:
        VarlError: it keeps each observation once, so that no row can be replaced.
    """
    if count + after >= replay.size() and not after:
        return replay.reset()
    # Another than the one before is needed where that was overwritten: the newest.
    source = after + count if count + after < replay.size() else 0
    if isinstance(replay, PersistentReplayBuffer):
        store = replay.store
        last = store.count - 1
        times = np.arange(last - after - count + 1, last - after + 1)
        rows = _stand_ins(store.take(np.full(count, last - source), env))
        return store.overwrite(times, env, rows, hidden=True)
    replaced = (replay.pos - 1 - after - np.arange(count)) % replay.buffer_size
    if isinstance(replay, HerReplayBuffer):
        return _take_from_episode(replay, env, replaced)
    if replay.optimize_memory_usage:
        raise VarlError(
            f"{count} steps were not carried out, and a replay with optimize_memory_usage cannot forget them; leave "
            "that out, or take PersistentReplayBuffer"
        )
    ends = [replay.dones, *([replay.timeouts] if replay.handle_timeout_termination else [])]
    arrays = [replay.actions, replay.rewards, *ends]
    for part in (replay.observations, replay.next_observations):
        arrays += part.values() if isinstance(part, dict) else [part]
    row = (replay.pos - 1 - source) % replay.buffer_size
    for end in ends:  # of the source, too: what came after it is gone
        end[row, env] = 1
    for array in arrays:
        array[replaced, env] = array[row, env]


def _take_from_episode(replay: HerReplayBuffer, env: int, rows: np.ndarray) -> None:
    """The last ``rows`` of an episode, newest first, belong to none from now on; it ends before them, cut by time."""
    if not replay.ep_length[rows[0], env]:  # it is running
        replay._compute_episode_length(env)
    start, left = replay.ep_start[rows[0], env], int(replay.ep_length[rows[0], env]) - len(rows)
    replay.ep_length[rows, env] = 0
    if left > 0:
        kept = (start + np.arange(left)) % replay.buffer_size
        replay.ep_length[kept, env] = left
        replay.dones[kept[-1], env] = 1
        if replay.handle_timeout_termination:
            replay.timeouts[kept[-1], env] = 1


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
