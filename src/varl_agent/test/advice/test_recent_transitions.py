"""Which of the recent transitions an advisor is shown."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces
from varl_agent.advice.recent_transitions import RecentTransitions, Transition

SPACE = spaces.Box(-100, 100, (1,), np.float32)


def remembered(window: int, count: int) -> RecentTransitions:
    """Transitions numbered by their observation."""
    recent = RecentTransitions(SPACE, window)
    for i in range(count):
        before, after = np.full(1, i, np.float32), np.full(1, i + 1, np.float32)
        recent.add(Transition(before, np.zeros(1, np.float32), after, 0.0, None))
    return recent


@pytest.mark.parametrize(
    ("selection", "shown"),
    [("recent", [17, 18, 19]), ("spread", [10, 14, 19]), ("uncertain", [11, 13, 18])],
)
def test_a_question_is_about_those_that_were_selected(selection: str, shown: list[int]) -> None:
    doubted = {11: 5.0, 13: 9.0, 18: 7.0}
    _, query = remembered(10, 20).query(
        20, 3, selection, lambda seen: np.array([doubted.get(int(state), 1.0) for state in seen[:, 0]])
    )
    assert query.states[:, 0].tolist() == shown
    assert query.next_states[:, 0].tolist() == [state + 1 for state in shown]


def test_fewer_are_shown_where_fewer_are_remembered() -> None:
    _, query = remembered(10, 2).query(2, 5, "spread", lambda seen: np.zeros(len(seen)))
    assert query.states[:, 0].tolist() == [0, 1]


@pytest.mark.parametrize("part", ["observation", "action", "next_observation"])
def test_what_is_not_finite_is_not_remembered(part: str) -> None:
    recent = remembered(10, 1)
    arrays = {name: np.zeros(1, np.float32) for name in ("observation", "action", "next_observation")}
    recent.add(Transition(**{**arrays, part: np.full(1, np.nan, np.float32)}, reward=0.0, frames=None))
    assert len(recent) == 1
