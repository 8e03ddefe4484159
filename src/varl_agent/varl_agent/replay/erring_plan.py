"""A plan that errs: who shall tell success from failure must have seen failures, and near ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from varl_common.env_description import EnvDescription
from varl_common.plan import Plan

_NOISE = 0.3  # standard deviation of an action's error, whole axes being 1
_WAY = 8  # control periods that it wanders one way


class ErringPlan:
    """Acts by ``plan``, and from a random period of an episode on it wanders, in most episodes."""

    def __init__(self, plan: Plan, description: EnvDescription, seed: int) -> None:
        self._plan, self._description = plan, description
        self._rng = np.random.default_rng(seed)
        self.begin()

    def begin(self) -> None:
        """An episode begins."""
        longest = self._description.max_episode_steps
        self._gives_up = int(self._rng.integers(longest // 8, 2 * longest))
        self._step, self._way = 0, np.zeros(len(self._description.action_names))

    def action(self, state: NDArray[np.float32]) -> NDArray[np.float32]:
        """(k,) in -1..1 for the whole state (d,)."""
        asked = np.asarray(self._plan.actions(state[None], self._description)[0], np.float64)
        if self._step >= self._gives_up:
            if (self._step - self._gives_up) % _WAY == 0:
                self._way = self._rng.uniform(-1.0, 1.0, asked.shape)
            asked = self._way
        self._step += 1
        return np.clip(asked + self._rng.normal(0.0, _NOISE, asked.shape), -1.0, 1.0).astype(np.float32)
