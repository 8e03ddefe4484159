"""Rows in which every value tells its number, and a store of them."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from varl_agent.replay.layout import Layout
from varl_agent.replay.store import ReplayStore

BOX = spaces.Box(-np.inf, np.inf, (5,), np.float32)


ACTIONS = spaces.Box(-1, 1, (2,), np.float32)


LAYOUT = Layout(obs_dim=5, act_dim=2, capacity=40, slack=10)


def row(number: int, layout: Layout = LAYOUT) -> np.ndarray:
    """A time row in which every value tells its number."""
    found = np.zeros(layout.n_envs, layout.row)
    for name in ("observation", "action", "next_observation", "reward"):
        found[name] = number
    return found


def fill(store: ReplayStore, first: int, last: int) -> None:
    for number in range(first, last):
        store.append(row(number, store.layout))


def readable(store: ReplayStore) -> list[int]:
    times = np.arange(store.oldest, store.count)
    rows = store.take(times)
    assert np.array_equal(rows["observation"][:, 0], rows["next_observation"][:, 4])
    assert np.array_equal(rows["observation"][:, 0], rows["action"][:, 1])
    return [int(value) for value in rows["reward"]]
