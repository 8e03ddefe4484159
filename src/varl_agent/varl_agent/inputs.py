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

    ``actor`` has the rows s' (B), s (B) and the advised states (m, unless these are s itself: ``shared``). ``next``,
    ``data`` and ``pi`` are the critics' inputs (s', a'), (s, a of the replay) and (s, a drawn now).
    """

    def __init__(
        self, rows: int, advised: int, shared: bool, obs_dim: int, act_dim: int, new: Callable[..., Any] = zeros
    ) -> None:
        self.rows, self.advised = rows, slice(rows, 2 * rows) if shared else slice(2 * rows, 2 * rows + advised)
        self.actor = new(self.advised.stop, obs_dim)
        self.next, self.data, self.pi = (new(rows, obs_dim + act_dim) for _ in range(3))
        self.rewards, self.discounts, self.noise = new(rows), new(rows), new(2 * rows, act_dim)
        self.going_on = new(rows, 1)  # discounts of transitions that do
        self.advice, self.pull = new(advised, act_dim), new(1)
        self.work: Any = None  # what the update works in
