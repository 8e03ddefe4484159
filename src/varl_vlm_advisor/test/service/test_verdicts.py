"""Whether a task was accomplished: the model is shown the picture and no numbers, and no answer is no success."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from varl_common.advice_status import AdviceStatus
from varl_common.config import Config
from varl_common.env_description import EnvDescription
from varl_common.frame import Frame
from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.service.config import config_model
from varl_vlm_advisor.testing.fuzz import FuzzBackend
from varl_vlm_advisor.types import State

Make = Callable[..., Advisor]
MakeTransition = Callable[..., State]


class Model:
    """Says what it is told to."""

    class Settings(Config):
        """None."""

    label, identity = "model", ""
    sees: ClassVar[bool] = True

    def __init__(self, **says: Any) -> None:
        self.asked: list[Question] = []
        self.says = {"reason": "it lies there", "can_tell": True, "accomplished": True} | says

    async def reply(self, question: Question, sample: int) -> Reply:
        self.asked.append(question)
        return Reply(json.dumps({"id": question.id} | self.says))

    async def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def judged(env: EnvDescription, transition: MakeTransition) -> Any:
    made: list[Advisor] = []

    def judge(model: Any, state: State | None = None, **settings: Any) -> Any:
        made.append(Advisor(config_model()(**{"cache": {"mode": "off"}, **settings}), model))
        return made[-1].judge(env, transition() if state is None else state, 20.0).result(25)

    yield judge
    for advisor in made:
        advisor.close()


def test_the_model_is_asked_once_with_the_picture_and_the_task_and_no_numbers(judged: Any, frame: Frame) -> None:
    model = Model()
    verdict = judged(model)
    assert (verdict.status, verdict.accomplished, verdict.reason) == (AdviceStatus.OK, True, "it lies there")
    (question,) = model.asked
    assert "Lift the block to the target." in question.text
    assert question.image
    assert "0.4" not in question.text, "where the block is, is for it to see"


@pytest.mark.parametrize(
    ("says", "status"),
    [
        ({"can_tell": False}, AdviceStatus.REFUSED),
        ({"accomplished": "yes"}, AdviceStatus.INVALID),
        ({"id": 1}, AdviceStatus.INVALID),
    ],
)
def test_what_is_no_verdict_is_no_success(judged: Any, says: dict[str, Any], status: AdviceStatus) -> None:
    verdict = judged(Model(**says))
    assert (verdict.status, verdict.accomplished) == (status, False)


def test_a_verdict_is_on_the_budget_of_all_questions(env: EnvDescription, transition: MakeTransition) -> None:
    asked = Advisor(config_model()(cache={"mode": "off"}, budget={"calls": 1}), Model())
    verdicts = [asked.judge(env, transition(number), 20.0).result(25) for number in range(2)]
    asked.close()
    assert [one.status for one in verdicts] == [AdviceStatus.OK, AdviceStatus.BUDGET]
    assert not verdicts[1].accomplished


def test_without_a_picture_or_with_a_state_that_is_none_there_is_no_verdict(
    judged: Any, transition: MakeTransition
) -> None:
    assert judged(Model(), transition(pictured=False)).status == AdviceStatus.REFUSED
    torn = replace(transition(), state=np.full(10, np.nan, np.float32))
    assert judged(Model(), torn).status == AdviceStatus.INVALID
    assert judged(Model(), camera={"verdict": "wrist"}).status == AdviceStatus.REFUSED


def test_whatever_a_model_says_it_is_one_verdict(
    env: EnvDescription, transition: MakeTransition, advisor: Make
) -> None:
    asked = Advisor(config_model()(cache={"mode": "off"}), FuzzBackend(FuzzBackend.Settings()))
    found = [asked.judge(env, transition(number), 30.0).result(35) for number in range(40)]
    asked.close()
    assert all(one.status == AdviceStatus.OK or not one.accomplished for one in found)


def test_the_stand_in_goes_by_its_plan_and_errs_as_often_as_it_is_told(
    env: EnvDescription, transition: MakeTransition, advisor: Make
) -> None:
    def said(error_rate: float, z: float) -> float:
        asked = advisor(scripted={"error_rate": error_rate})
        found = []
        for number in range(300):
            moment = transition(number, pictured=False)
            held = moment.state.copy()
            held[:3], held[3:6], held[9] = [0.4, 0.1, z], [0.4, 0.1, z], 0.04  # the block in the fingers, at height z
            found.append(asked.judge(env, replace(moment, state=held), 20.0).result(25).accomplished)
        return float(np.mean(found))

    assert (said(0.0, 0.2), said(0.0, 0.03)) == (1.0, 0.0)
    assert said(0.2, 0.2) == pytest.approx(0.8, abs=0.07)
