"""When advice is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from varl_common.errors import expect

# Steps at which to ask; or every so many steps; or a function of the model, called every step.
Trigger = Sequence[int] | int | Callable[[Any], bool]


class Schedule:
    """A trigger, and how many of its questions have been settled (answered, or given up).

    Raises:
        VarlError: the trigger is none; steps are whole and positive.
    """

    def __init__(self, trigger: Trigger) -> None:
        self.call: Callable[[Any], bool] | None = None
        self.period = 0
        self.steps: list[int] = []
        if callable(trigger):
            self.call = trigger
            return
        steps = np.asarray(trigger)
        whole = steps.ndim <= 1 and steps.dtype != bool and (steps.size == 0 or np.issubdtype(steps.dtype, np.integer))
        expect(whole and bool((steps > 0).all()), "trigger", trigger, "steps, a period of steps or a function")
        if steps.ndim == 0:
            self.period = int(steps)
        else:
            self.steps = sorted(steps.tolist())

    def due(self, model: Any, step: int, settled: int) -> bool:
        """Whether to ask at ``step``, when ``settled`` questions have been settled."""
        if self.call is not None:
            return bool(self.call(model))
        return settled < self._until(step)

    def near(self, step: int, window: int, settled: int) -> bool:
        """Whether a question may come within ``window`` steps, so that frames are needed from now on."""
        return self.call is not None or settled < self._until(step + window)

    def _until(self, step: int) -> int:
        """Questions that fall due up to ``step``."""
        return step // self.period if self.period else sum(s <= step for s in self.steps)
