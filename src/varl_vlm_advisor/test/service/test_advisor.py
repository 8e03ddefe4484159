"""The core's promise: one answer per state, in order, by the deadline, whatever the request or the backend."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from varl_common.advice_status import AdviceStatus
from varl_common.config import Config
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError
from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.service.config import config_model, load_config
from varl_vlm_advisor.types import NoAdvice, State

Make = Callable[..., Advisor]
MakeTransition = Callable[..., State]


class Backend:
    """Does what ``act`` does; made by tests as a third party would make one."""

    class Settings(Config):
        """None."""

    label, identity, sees = "third party", "", False

    def __init__(self, act: Callable[[Question, int], Any]) -> None:
        self._act = act

    async def reply(self, question: Question, sample: int) -> Reply:
        result = self._act(question, sample)
        return await result if asyncio.iscoroutine(result) else result

    async def close(self) -> None:
        pass


def said(question: Question, **words: str) -> Reply:
    still = dict.fromkeys(question.env.action_names, "0") | {"gripper": "hold"}
    words = {**still, **words}
    fields = "".join(f', "{name}": "{word}"' for name, word in words.items())
    return Reply(f'{{"id": {question.id}, "reason": "r", "can_tell": true{fields}}}')


def statuses(advisor: Advisor, env: EnvDescription, states: list[State], deadline: float = 20.0) -> list[AdviceStatus]:
    answers = advisor.ask(env, states, deadline).result(deadline + 20)
    assert [advice.id for advice in answers.advice] == [state.id for state in states]
    return [advice.status for advice in answers.advice]


def test_states_that_make_no_sense_are_invalid_and_the_others_answered(
    advisor: Make, env: EnvDescription, transition: MakeTransition
) -> None:
    states = [
        transition(0),
        replace(transition(1), state=np.full(10, np.nan, np.float32)),
        replace(transition(2), action=np.zeros(3, np.float32)),
        replace(transition(3), next_state=np.zeros(0, np.float32)),
        replace(transition(4), id=7),
        replace(transition(5), id=7),
    ]
    assert statuses(advisor(), env, states) == [AdviceStatus.OK] + [AdviceStatus.INVALID] * 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"action_names": []},
        {"action_names": ["dx", "dx", "dz", "gripper"]},
        {"action_scale": [0.0, 1.0, 1.0, 1.0]},
        {"action_units": ["m"]},
        {"observation_units": []},
        {"entity_indices": [0, 3, 9]},
        {"entities": ["tool", "tool", "target"]},
    ],
)
def test_an_environment_that_makes_no_sense_is_invalid(
    advisor: Make, env: EnvDescription, transition: MakeTransition, wrong: dict[str, Any]
) -> None:
    assert statuses(advisor(), replace(env, **wrong), [transition(0), transition(1)]) == [AdviceStatus.INVALID] * 2


@pytest.mark.parametrize("deadline", [float("nan"), float("inf")])
def test_a_deadline_that_is_none_is_invalid(
    advisor: Make, env: EnvDescription, transition: MakeTransition, deadline: float
) -> None:
    answers = advisor().ask(env, [transition()], deadline).result(20)
    assert answers.advice[0].status == AdviceStatus.INVALID


@pytest.mark.parametrize("deadline", [0.0, -5.0])
def test_a_deadline_that_has_passed_is_a_timeout(
    advisor: Make, env: EnvDescription, transition: MakeTransition, deadline: float
) -> None:
    answers = advisor().ask(env, [transition()], deadline).result(20)
    assert answers.advice[0].status == AdviceStatus.TIMEOUT


def test_no_states_are_no_answers(advisor: Make, env: EnvDescription) -> None:
    assert advisor().ask(env, [], 1.0).result(20).advice == []


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyError("x"), MemoryError(), TimeoutError()])
def test_a_backend_with_a_bug_is_a_status(
    advisor: Make, env: EnvDescription, transition: MakeTransition, error: Exception
) -> None:
    def act(question: Question, sample: int) -> Reply:
        raise error

    asked = advisor(Backend(act))
    assert statuses(asked, env, [transition(0), transition(1)]) == [AdviceStatus.INVALID] * 2


def test_a_backend_that_will_not_be_cancelled_does_not_hold_the_answer(
    advisor: Make, env: EnvDescription, transition: MakeTransition
) -> None:
    released = threading.Event()

    async def stubborn() -> Reply:
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.02)
        raise NoAdvice(AdviceStatus.REFUSED, "late")

    assert statuses(advisor(Backend(lambda q, s: stubborn())), env, [transition()], 0.5) == [AdviceStatus.TIMEOUT]
    released.set()


def test_what_is_there_by_the_deadline_is_kept(advisor: Make, env: EnvDescription, transition: MakeTransition) -> None:
    async def late(question: Question) -> Reply:
        await asyncio.sleep(30 if question.state.id == 1 else 0)
        return said(question)

    asked = advisor(Backend(lambda q, s: late(q)))
    assert statuses(asked, env, [transition(0), transition(1), transition(2)], 3.0) == [
        AdviceStatus.OK,
        AdviceStatus.TIMEOUT,
        AdviceStatus.OK,
    ]


def test_votes_go_by_axis_and_their_agreement_is_the_confidence(
    advisor: Make, env: EnvDescription, transition: MakeTransition
) -> None:
    words = [("+large", "0"), ("+small", "+large"), ("+large", "-large"), ("-large", "0")]

    def act(question: Question, sample: int) -> Reply:
        return said(question, dx=words[sample][0], dy=words[sample][1])

    (advice,) = advisor(Backend(act), votes=4).ask(env, [transition()], 20.0).result(30).advice
    assert advice.action is not None
    assert advice.action.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert advice.confidence == pytest.approx((3 / 4 + 2 / 4 + 1 + 1) / 4)


def test_a_sample_that_cannot_be_used_agrees_with_none(
    advisor: Make, env: EnvDescription, transition: MakeTransition
) -> None:
    def act(question: Question, sample: int) -> Reply:
        return said(question, dx="+large") if sample else Reply("no JSON")

    (advice,) = advisor(Backend(act), votes=4).ask(env, [transition()], 20.0).result(30).advice
    assert advice.status == AdviceStatus.OK
    assert advice.confidence == pytest.approx(3 / 4)


def test_whoever_asks_does_not_wait_for_the_model(
    advisor: Make, env: EnvDescription, transition: MakeTransition
) -> None:
    released = threading.Event()

    async def slow() -> Reply:
        while not released.is_set():
            await asyncio.sleep(0.02)
        return Reply("{}")

    asked = advisor(Backend(lambda q, s: slow()))
    pending = [asked.ask(env, [transition(number)], 60.0) for number in range(5)]
    assert not any(future.done() for future in pending)
    released.set()
    assert all(future.result(60).advice[0].status == AdviceStatus.INVALID for future in pending)


def test_closing_in_the_middle_ends_the_thread(env: EnvDescription, transition: MakeTransition) -> None:
    backend: Any = Backend(lambda q, s: asyncio.sleep(60))
    asked = Advisor(config_model()(), backend)
    asked.ask(env, [transition()], 60.0)
    assert "advisor" in [thread.name for thread in threading.enumerate()]
    asked.close()
    assert "advisor" not in [thread.name for thread in threading.enumerate()]


def test_the_file_in_config_is_the_default(tmp_path: Any) -> None:
    from_file = load_config(Path(__file__).parents[4] / "config/advisor.yaml").model_dump()
    assert from_file == config_model()().model_dump()


@pytest.mark.parametrize(("setting", "remedy"), [({"votes": 0}, "votes"), ({"template": "v99"}, "known: v1")])
def test_a_wrong_setting_is_told(advisor: Make, setting: dict[str, Any], remedy: str) -> None:
    with pytest.raises(VarlError, match=remedy):
        advisor(**setting)


def test_off_needs_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "advisor.yaml"
    path.write_text("/**/advisor: {ros__parameters: {cache: {mode: off}}}\n")
    assert load_config(path).cache.mode == "off"


def test_a_file_without_the_section_is_an_error(tmp_path: Any) -> None:
    path = tmp_path / "advisor.yaml"
    path.write_text("advisor: {}\n")
    with pytest.raises(VarlError, match="has no section"):
        load_config(path)
