"""Cutoffs: how long guidance shapes the actor. Each gives a factor in 0..1 for the guidance weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from varl_common.config import did_you_mean
from varl_common.errors import VarlError, expect

CUTOFF_NAMES = ("hard", "linear", "adaptive")


@dataclass
class Cutoff:
    """When guidance ends.

    hard: 1 until ``step``, then 0 (the paper's N_s).
    linear: 1 until ``step``, then down to 0 over ``decay`` steps.
    adaptive: 1 until ``successes`` episodes have succeeded and at least ``rate`` of the recent ones do, or until
        ``step`` at the latest; then down to 0 over ``decay`` steps. Guidance is not let go before the critic has seen
        what success is worth.
    """

    name: str
    step: int
    decay: int = 0
    successes: int = 100
    rate: float = 0.7
    released_at: int = -1

    def __post_init__(self) -> None:
        if self.name not in CUTOFF_NAMES:
            raise VarlError(f"unknown cutoff {self.name!r}; {did_you_mean(self.name, list(CUTOFF_NAMES))}")
        for name in ("step", "decay", "successes"):
            expect((value := getattr(self, name)) >= 0, f"cutoff_{name}", value, "0 or more")
        expect(0 <= self.rate <= 1, "cutoff_rate", self.rate, "a share from 0 to 1")
        if self.name == "hard":
            self.decay = 0

    def restart(self) -> None:
        """Environment steps are counted from 0 again: guidance has all its time before it."""
        self.released_at = -1

    def update(self, step: int, successes: int, success_rate: float) -> None:
        """Tell how far training is: environment step, episodes that succeeded so far, share of the recent ones."""
        if self.released_at >= 0:
            return
        earned = self.name == "adaptive" and successes >= self.successes and success_rate >= self.rate
        if earned or step >= self.step:
            self.released_at = step

    def factor(self, step: int) -> float:
        """Factor of the guidance weight at ``step``."""
        if self.released_at < 0:
            return 1.0
        return max(0.0, 1.0 - (step - self.released_at) / self.decay) if self.decay else 0.0

    def state_dict(self) -> dict[str, Any]:
        """Whether guidance has been let go, and when."""
        return {"released_at": self.released_at}

    def load_state_dict(self, state: dict[str, Any], strict: bool = True) -> None:
        """Inverse of :meth:`state_dict` (``strict`` is for torch's signature)."""
        self.released_at = int(state["released_at"])
