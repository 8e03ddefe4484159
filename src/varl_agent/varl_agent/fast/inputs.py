"""Where a fast update reads its batch, and what guides it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th


def zeros(*shape: int) -> np.ndarray:
    """Room for float32 numbers, at the start of a cache line: on that may depend the last bit of a product's sums."""
    return th.zeros(shape, dtype=th.float32, device="cpu").numpy()


class Inputs:
    """Where an update reads its batch of B rows and m advised states; ``new`` makes room for numbers.

    ``policy`` has the rows (s', a') (B), (s, a drawn now) (B) and the advised states (m, unless these are s itself:
    ``shared``). The actor reads the states in it, ``actor``; the critics' inputs are ``next`` and ``pi``, parts of it,
    and ``data``, (s, a of the replay). ``pull`` is the guidance's weight / m, ``hold`` its hold on the temperature.
    """

    def __init__(
        self, rows: int, advised: int, shared: bool, obs_dim: int, act_dim: int, new: Callable[..., Any] = zeros
    ) -> None:
        self.rows, self.advised = rows, slice(rows, 2 * rows) if shared else slice(2 * rows, 2 * rows + advised)
        self.policy, self.data = (new(n, obs_dim + act_dim) for n in (self.advised.stop, rows))
        self.actor, self.next, self.pi = self.policy[:, :obs_dim], self.policy[:rows], self.policy[rows : 2 * rows]
        self.rewards, self.discounts, self.noise = new(rows), new(rows), new(2 * rows, act_dim)
        self.step_discounts = new(rows, 1)  # discounts of transitions that do
        self.advice, self.pull, self.hold = new(advised, act_dim), new(1), new(1)
        self.work: Any = None  # what the update works in
