"""The bench of what looks: one that knows the answers has all figures right, and one that points anywhere has not."""

import json
from typing import Any

import pytest
from varl_common.errors import VarlError
from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.question.question import StateQuestion
from varl_vlm_advisor.training import teacher

from benchmarks import sight


class _Knowing:
    """A backend that reads the answer off the state; ``astray`` points at the upper left instead."""

    def __init__(self, world_expert: dict[int, Any], astray: bool) -> None:
        self._experts, self._astray = world_expert, astray

    async def reply(self, question: StateQuestion, sample: int) -> Reply:
        said = json.loads(teacher.answer(question, question.state.state, self._experts[question.id]) or "{}")
        return Reply(json.dumps(said | ({"point": [0, 0]} if self._astray and said else {})))


@pytest.fixture(scope="module")
def asked() -> list[sight.Asked]:
    """Held-out scenes of reach."""
    try:
        return sight.held_out("reach", 12)
    except VarlError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("astray", [False, True])
def test_figures_tell_who_knows(asked: list[sight.Asked], astray: bool) -> None:
    judge = sight.Judge(_Knowing({one.question.id: one.expert for one in asked}, astray))  # type: ignore[arg-type]
    answers = [judge.answer(one.question) for one in asked]
    error, signs = sight.pointing_error(asked, answers), sight.signs(judge, asked, answers)
    assert judge.refused < len(asked) / 4
    assert (error > 0.2) if astray else (error < 0.002)
    assert (signs < 0.8) if astray else (signs > 0.8)


def test_no_answer_is_no_sign_and_the_whole_width_off(asked: list[sight.Asked]) -> None:
    judge = sight.Judge(_Knowing({}, False))  # type: ignore[arg-type]
    none = [None] * len(asked)
    assert sight.pointing_error(asked, none) == 1.0
    assert sight.signs(judge, asked, none) == 0.0


def test_a_grey_picture_is_the_same_question(asked: list[sight.Asked]) -> None:
    question = asked[0].question
    blind = sight.grey(question)
    assert blind.text == question.text
    assert len(blind.image) < len(question.image) / 2


def test_held_out_scenes_are_the_same_each_time(asked: list[sight.Asked]) -> None:
    again = sight.held_out("reach", 2)
    assert [one.question.text for one in again] == [one.question.text for one in asked[:2]]
