"""Which of several plans guide."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from varl_agent.advice.guidance_buffer import GuidanceBuffer
from varl_agent.advice.messages import ADVICE_LIMIT, AdviceAnswer
from varl_agent.advice.plan_selection import ENOUGH_SUCCESS, agreeing, judge_plans, try_next
from varl_common.plan import Phase, Plan

SCENE: Any = SimpleNamespace(
    observation_names=list("xyzuvw"),
    observation_low=np.full(6, -1, np.float32),
    observation_high=np.full(6, 2, np.float32),
    action_names=["dx", "dy", "dz"],
    action_scale=np.full(3, 0.1),
    entities=["tool", "target"],
    entity_indices=[0, 3],
)
STATES = np.random.default_rng(0).uniform(-0.1, 0.1, (2_000, 6)).astype(np.float32)


def guided_by(offsets: Sequence[tuple[float, float, float]]) -> tuple[GuidanceBuffer, list[Plan]]:
    guidance, plans = GuidanceBuffer(3), [Plan((Phase("target", offset),)) for offset in offsets]
    for plan in plans:
        guidance.add(np.zeros((0, 6), np.float32), AdviceAnswer.of(np.zeros((0, 3), np.float32), "scripted", plan), 0)
    return guidance, plans


@pytest.mark.parametrize("shifts", [(0.04, 0.0, -0.01), (0.02, 0.03, -0.09)])
def test_plans_whose_vote_is_nearest_to_what_succeeds_go_on_voting(shifts: tuple[float, ...]) -> None:
    """Small errors; and a large one, by which the vote is right nevertheless: the others all err to one side."""
    _, plans = guided_by([(0.0, shift, 0.0) for shift in shifts])
    noise = np.random.default_rng(1).normal(0, 0.3, (len(STATES), 3))
    succeeded = plans[int(np.argsort(shifts)[1])].actions(STATES, SCENE) + noise
    assert agreeing(plans, STATES, succeeded, SCENE) is None


def test_plans_that_are_each_wrong_in_another_phase_guide_as_the_right_one() -> None:
    right = (Phase("target", (0.0, 0.0, 0.1)), Phase("target", (0.0, 0.0, 0.05)), Phase("target"))
    guidance = GuidanceBuffer(3)
    for number in range(3):
        phases = list(right)
        phases[number] = Phase("target", (0.5, -0.5, 0.5), tolerance=0.3)
        wrong = AdviceAnswer.of(np.zeros((0, 3), np.float32), "scripted", Plan(tuple(phases)))
        guidance.add(np.zeros((0, 6), np.float32), wrong, 0)
    advised = guidance.label(STATES, SCENE)
    expected = Plan(right).actions(STATES, SCENE).clip(-ADVICE_LIMIT, ADVICE_LIMIT)
    np.testing.assert_allclose(advised, expected, atol=1e-4)


def test_after_the_last_plan_alone_all_guide_together() -> None:
    guidance, _ = guided_by([(0.0, 0.0, 0.0), (0.0, 0.0, -2.0)])
    chosen = []
    for episodes in range(3):
        try_next(guidance, episodes)
        chosen.append(guidance.trusted)
    assert chosen == [[0], [1], None]


def test_without_a_step_that_succeeded_plans_are_not_judged() -> None:
    """As after a load without the replay, when the success rate is still known."""
    guidance, _ = guided_by([(0.0, 0.0, 0.0), (0.0, 0.0, -2.0)])
    guidance.trusted = [1]
    judge_plans(guidance, SCENE, ENOUGH_SUCCESS, 100, lambda n: None)
    assert guidance.trusted == [1]


def test_a_choice_that_changes_during_a_label_counts_from_the_next_one_on() -> None:
    """The acting thread chooses while the learning thread labels."""

    class Changing(GuidanceBuffer):
        """Another thread's choice comes after each look at ``trusted``."""

        choices: Sequence[list[int] | None] = ()

        @property
        def trusted(self) -> list[int] | None:  # type: ignore[override]
            self._looks += 1
            return self.choices[min(self._looks, len(self.choices)) - 1] if self.choices else None

        @trusted.setter
        def trusted(self, value: list[int] | None) -> None:
            self._looks = 0

    plans = [Plan((Phase("target", (0.0, 0.0, shift)),)) for shift in (0.0, -2.0)]
    guidance = Changing(3)
    for plan in plans:
        guidance.add(np.zeros((0, 6), np.float32), AdviceAnswer.of(np.zeros((0, 3), np.float32), "scripted", plan), 0)
    guidance.choices = [[0], None, [1]]
    expected = plans[0].actions(STATES[:50], SCENE).clip(-0.8, 0.8)
    np.testing.assert_allclose(guidance.label(STATES[:50], SCENE), expected, atol=1e-6)
