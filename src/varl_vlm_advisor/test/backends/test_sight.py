"""The model in the box answers what it was trained on; the rest goes to the stand-in, which is said once."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from varl_common.advice_status import AdviceStatus
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError
from varl_vlm_advisor.backends import Reply, sight
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.types import State

STAND_IN = "scripted (stand-in for a VLM)"


class Model:
    """In the place of the one in the box."""

    Settings = sight.TransformersBackend.Settings
    label = "transformers (varl-sight)"

    def __init__(self, settings: Any) -> None:
        self.asked = 0

    async def reply(self, question: Question, sample: int) -> Reply:
        self.asked += 1
        phase = {"target": "block", "x": 0.0, "y": 0.0, "z": 0.0, "gripper": "hold", "tolerance": 0.02}
        phase |= {"opposite": "", "standoff": 0.0}
        return Reply(json.dumps({"id": question.id, "reason": "seen", "can_tell": True, "phases": [phase]}))

    async def close(self) -> None:
        pass


def reasons(asked: Advisor, env: EnvDescription, state: State) -> tuple[str, str]:
    answers = asked.ask(env, [state], 20.0).result(30)
    assert answers.advice[0].status == AdviceStatus.OK, answers.advice
    return answers.advice[0].reason, answers.advisor


def test_it_answers_what_it_was_trained_on_and_the_stand_in_the_rest(
    advisor: Callable[..., Advisor],
    env: EnvDescription,
    transition: Callable[..., State],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sight, "TransformersBackend", Model)
    planner = advisor(backend="sight", strategy="plan")
    assert reasons(planner, env, transition()) == ("seen", "transformers (varl-sight)")
    assert not caplog.records
    for _ in range(2):
        reason, who = reasons(planner, env, transition(pictured=False))
        assert (reason.split(":")[0], who) == ("scripted", STAND_IN)
    (said,) = caplog.messages
    assert "no picture comes to varl-sight" in said
    assert "the scripted stand-in answers" in said
    for changed in ({"robot": "ur5e"}, {"backend": "real"}):
        assert reasons(planner, replace(env, **changed), transition())[1] == STAND_IN
    assert reasons(planner, env, transition()) == ("seen", "transformers (varl-sight)")
    assert reasons(advisor(backend="sight", strategy="direction"), env, transition())[1] == STAND_IN


def test_of_a_task_that_the_stand_in_does_not_know_either_the_answer_is_the_remedy(
    advisor: Callable[..., Advisor],
    env: EnvDescription,
    transition: Callable[..., State],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sight, "TransformersBackend", Model)
    asked = advisor(backend="sight", strategy="plan")
    (advice,) = asked.ask(replace(env, task="hover"), [transition()], 20.0).result(30).advice
    assert advice.status == AdviceStatus.REFUSED
    assert "keep that name in your file (task: reach), else see docs/tasks.md" in advice.reason
    assert not caplog.records, "nobody answers in its place"


def test_where_it_cannot_be_loaded_one_line_says_so(
    advisor: Callable[..., Advisor],
    env: EnvDescription,
    transition: Callable[..., State],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def missing(settings: Any) -> Model:
        raise VarlError("advisor: the backend transformers needs llguidance; pip install llguidance")

    missing.Settings = Model.Settings  # type: ignore[attr-defined]
    monkeypatch.setattr(sight, "TransformersBackend", missing)
    with caplog.at_level(logging.WARNING):
        asked = advisor(backend="sight", strategy="plan")
        assert asked.label == STAND_IN
        assert reasons(asked, env, transition())[1] == STAND_IN
    (said,) = caplog.messages
    assert said.endswith("pip install llguidance; the scripted stand-in answers in its place")
