"""The episodes that a store holds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from varl_agent.replay.layout import Tag
from varl_agent.replay.store import ReplayStore


def whole_episodes(store: ReplayStore) -> Iterator[np.ndarray]:
    """The transitions of each episode of each environment, oldest first, without those that stand in for others.

    Where a transition does not begin as the one before it ended, that episode was broken off: the robot was lost, the
    training was resumed on a real arm, or something that was not finite was left out.
    """
    times = np.arange(store.oldest, store.count)
    for env in range(store.layout.n_envs):
        rows = store.take(times, env)
        own = rows["tag"] != Tag.STAND_IN
        last = (rows["done"][:-1] > 0) | ~_continues(rows) | (own[:-1] != own[1:])
        episodes = np.split(rows, np.flatnonzero(last) + 1)
        yield from (episode for episode in episodes if len(episode) and episode["tag"][0] != Tag.STAND_IN)


def _continues(rows: np.ndarray) -> np.ndarray:
    """(n - 1,) whether each transition but the first begins with the observation that the one before it ended with."""
    same = (rows["next_observation"][:-1] == rows["observation"][1:]).all(axis=1)
    for name in rows.dtype.names or ():
        if name.startswith("frame/"):
            same &= rows[f"next_{name}"][:-1] == rows[name][1:]
    return same
