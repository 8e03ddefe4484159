"""What the temperature does while something guides, and right after it."""

from typing import Any

import pytest
import torch as th
from varl_agent.sac.guidance import GuidanceBatch
from varl_agent.sac.temperature import held

LR = 1e-3


def guidance(hold: float) -> GuidanceBatch:
    return GuidanceBatch(th.zeros(1, 1), th.zeros(1, 1), 1.0, hold)


class Temperature:
    """log(alpha) and its Adam."""

    def __init__(self) -> None:
        self.log_alpha = th.zeros(1, requires_grad=True)
        self.adam = th.optim.Adam([self.log_alpha], LR)

    def step(self, surplus: float, beside: GuidanceBatch | None = None) -> float:
        before = self.log_alpha.item()
        with held(self.log_alpha, surplus, beside) as steps:
            if steps:
                self.adam.zero_grad()
                (-(self.log_alpha * surplus).mean()).backward()
                self.adam.step()
        return self.log_alpha.item() - before

    @property
    def moment(self) -> Any:
        return self.adam.state[self.log_alpha]["exp_avg_sq"].item()


def test_unguided_it_is_adams_own_step() -> None:
    temperature = Temperature()
    assert temperature.step(2.0) == pytest.approx(LR, rel=1e-4)
    assert temperature.step(-9.0) < 0


def test_held_it_does_not_rise_be_it_by_gradient_or_momentum() -> None:
    temperature = Temperature()
    for _ in range(20):
        temperature.step(1.0)
    assert temperature.step(1.0, guidance(1.0)) == 0.0
    assert temperature.step(-0.01, guidance(1.0)) == 0.0, "momentum would carry it up"
    for _ in range(50):
        last = temperature.step(-1.0, guidance(1.0))
    assert last < 0, "it may fall"


def test_half_held_it_rises_by_half() -> None:
    held_one, free = Temperature(), Temperature()
    assert held_one.step(2.0, guidance(0.5)) == pytest.approx(free.step(2.0) / 2)


def test_after_a_long_hold_it_steps_no_faster_than_before() -> None:
    """Adam's second moment must not decay meanwhile: steps would be several times the learning rate."""
    temperature = Temperature()
    for _ in range(200):
        temperature.step(1.0)
    moment = temperature.moment
    for _ in range(5_000):
        temperature.step(1.0, guidance(1.0))
    assert temperature.moment == moment
    risen = sum(temperature.step(1.0) for _ in range(200))
    assert risen <= 200 * LR * 1.01
