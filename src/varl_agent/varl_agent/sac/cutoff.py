"""Cutoffs: how long advice shapes the actor."""

from __future__ import annotations

from dataclasses import dataclass

from varl_common.errors import VarlError, did_you_mean, expect, is_number

CUTOFF_NAMES = ("hard", "linear", "adaptive")
NOT_RELEASED = -1


@dataclass(frozen=True)
class Cutoff:
    """When advice ends, and how.

    hard: in force until ``step`` (the paper's N_s), then gone.
    linear: in force until ``step``, then fading over ``decay`` steps.
    adaptive: in force until ``successes`` of the policy's own episodes have succeeded and at least ``rate`` of the
        recent ones do, or until ``step`` at the latest; then fading over ``decay`` steps. Advice is not released before
        the critic has seen what success is worth. Episodes in which a plan acts count in neither: with them, advice was
        let go twice as soon, and one episode of reach in twenty stayed lost for thousands of steps.
    """

    name: str
    step: int
    decay: int = 0
    successes: int = 100
    rate: float = 0.9

    def __post_init__(self) -> None:
        if self.name not in CUTOFF_NAMES:
            raise VarlError(f"unknown cutoff {self.name!r}; {did_you_mean(self.name, list(CUTOFF_NAMES))}")
        for name in ("step", "decay", "successes"):
            expect(is_number(value := getattr(self, name), low=0), f"cutoff_{name}", value, "a number of 0 or more")
        expect(is_number(self.rate, low=0, high=1), "cutoff_rate", self.rate, "a share from 0 to 1")

    def releases(self, step: int, successes: int, success_rate: float) -> bool:
        """Whether advice is released at ``step``, after so many successes and at this rate among recent episodes."""
        earned = self.name == "adaptive" and successes >= self.successes and success_rate >= self.rate
        return earned or step >= self.step

    def factor(self, step: int, released_at: int) -> float:
        """Factor 0..1 of the guidance weight at ``step``; ``released_at`` may be NOT_RELEASED."""
        if released_at == NOT_RELEASED:
            return 1.0
        if self.name == "hard" or self.decay == 0:
            return 0.0
        return max(0.0, 1.0 - (step - released_at) / self.decay)
