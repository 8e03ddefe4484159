"""Thousands of broken answers to each kind of question: each ends in a status, none in an action that nobody meant."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from varl_common.advice_status import AdviceStatus
from varl_common.env_description import EnvDescription
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.testing.fuzz import FuzzBackend
from varl_vlm_advisor.types import State


@pytest.mark.parametrize(
    ("strategy", "count"), [("direction", 2000), ("point", 1000), ("trajectory", 500), ("plan", 1000)]
)
def test_every_output_ends_in_a_status(
    advisor: Callable[..., Advisor], env: EnvDescription, transition: Callable[..., State], strategy: str, count: int
) -> None:
    backend = FuzzBackend(FuzzBackend.Settings())
    asked = advisor(backend, strategy=strategy, surface_height=0.0, picture={"width": 64}, in_flight=64)
    seen: Counter[AdviceStatus] = Counter()
    size = 1 if strategy == "plan" else 500
    for first in range(0, count, size):
        states = [transition(number, pictured=strategy == "point") for number in range(first, first + size)]
        answers = asked.ask(env, states, 60.0).result(70)
        assert [advice.id for advice in answers.advice] == [state.id for state in states]
        for advice in answers.advice:
            seen[advice.status] += 1
            if advice.status == AdviceStatus.OK:
                assert advice.action is not None
                assert advice.action.shape == (4,)
                assert np.isfinite(advice.action).all()
                assert np.abs(advice.action).max() <= 1.0
            else:
                assert advice.action is None
                assert advice.reason
            assert "unexpected failure" not in advice.reason, advice.reason
    assert backend.replies >= count
    assert seen[AdviceStatus.OK] > count * 0.1  # some mutations leave a good answer
    assert seen[AdviceStatus.INVALID] > count * 0.1
