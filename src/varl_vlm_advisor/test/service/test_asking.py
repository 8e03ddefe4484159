"""What is asked, recorded and paid: the budget has every request, the cache only what was validated."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from varl_common.advice_status import AdviceStatus
from varl_common.config import Config
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError
from varl_vlm_advisor.backends import AskAgain, Reply
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.service.breaker import Breaker
from varl_vlm_advisor.service.budget import Budget
from varl_vlm_advisor.service.config import BudgetConfig
from varl_vlm_advisor.testing.server import KEY, Server
from varl_vlm_advisor.types import NoAdvice, State

Make = Callable[..., Advisor]
MakeTransition = Callable[..., State]
DOWN = NoAdvice(AdviceStatus.UNAVAILABLE, "it is down", retry=True)


class Model:
    """Says what ``replies`` hold, one after the other, and the last one ever after."""

    class Settings(Config):
        """None."""

    label, identity, sees = "model", "model", True

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.response_format = "json_schema"
        self.asked: list[Question] = []

    async def reply(self, question: Question, sample: int) -> Reply:
        self.asked.append(question)
        say = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(say, Exception):
            raise say
        said = say(question)
        result: Reply = await said if asyncio.iscoroutine(said) else said
        return result

    async def close(self) -> None:
        pass


def good(question: Question, **words: str) -> Reply:
    still = dict.fromkeys(question.env.action_names, "0") | {"gripper": "hold"} | words
    fields = "".join(f', "{name}": "{word}"' for name, word in still.items())
    return Reply(f'{{"id": {question.id}, "reason": "r", "can_tell": true{fields}}}', tokens_in=900, tokens_out=60)


def cannot_tell(question: Question) -> Reply:
    return Reply(good(question).text.replace("true", "false"))


def bad(question: Question) -> Reply:
    return Reply("no JSON")


def ask(advisor: Advisor, env: EnvDescription, state: State, deadline: float = 20.0) -> Any:
    return advisor.ask(env, [state], deadline).result(deadline + 20).advice[0]


def never(advisor: Advisor) -> Callable[[Question], Any]:
    """A reply that does not come: once it is asked for, the advisor's clock is past every deadline."""
    loop, now = advisor._loop, advisor._loop.time

    def hang(question: Question) -> Any:
        loop.time = lambda: now() + 3600.0  # type: ignore[method-assign]
        return asyncio.sleep(60)

    return hang


@pytest.fixture
def cached(advisor: Make, tmp_path: Path) -> Callable[..., Advisor]:
    return lambda model, mode="auto": advisor(
        model, cache={"mode": mode, "folder": str(tmp_path / "kept")}, retry={"backoff": 0.001, "attempts": 3}
    )


@pytest.mark.parametrize("answer", [good, cannot_tell])
def test_what_validated_is_recorded_and_found_again(
    cached: Any, env: EnvDescription, transition: MakeTransition, answer: Any
) -> None:
    first = ask(cached(Model(answer)), env, transition())
    for mode in ("auto", "replay"):
        model = Model(DOWN)
        again = ask(cached(model, mode), env, transition())
        assert (again.status, again.reason, str(again.action)) == (first.status, first.reason, str(first.action))
        assert not model.asked


def test_what_did_not_validate_is_not_recorded(cached: Any, env: EnvDescription, transition: MakeTransition) -> None:
    assert ask(cached(Model(bad)), env, transition()).status == AdviceStatus.INVALID
    model = Model(good)
    assert ask(cached(model), env, transition()).status == AdviceStatus.OK
    assert len(model.asked) == 1


def test_a_repaired_answer_is_recorded_under_the_question(
    cached: Any, env: EnvDescription, transition: MakeTransition
) -> None:
    assert ask(cached(Model(bad, good)), env, transition()).status == AdviceStatus.OK
    assert ask(cached(Model(DOWN), "replay"), env, transition()).status == AdviceStatus.OK


def test_an_answer_of_another_response_format_is_another_answer(
    cached: Any, env: EnvDescription, transition: MakeTransition
) -> None:
    ask(cached(Model(good)), env, transition())
    model = Model(lambda question: good(question, dx="+large"))
    model.response_format = "text"
    assert ask(cached(model), env, transition()).action[0] == 1.0
    assert len(model.asked) == 1


def test_an_answer_that_was_recorded_in_a_looser_format_is_found_once_that_is_known(
    cached: Any, env: EnvDescription, transition: MakeTransition
) -> None:
    loose = Model(good)
    loose.response_format = "text"
    ask(cached(loose), env, transition())

    def refuse(question: Question) -> Reply:
        model.response_format = "text"
        raise AskAgain

    model = Model(refuse)
    assert ask(cached(model), env, transition()).status == AdviceStatus.OK
    assert len(model.asked) == 1


def test_every_request_is_counted(advisor: Make, env: EnvDescription, transition: MakeTransition) -> None:
    """A refused form, a failure that passes, an answer to repair and its repair: four requests."""
    asked = advisor(Model(AskAgain(), DOWN, bad, good), retry={"backoff": 0.001})
    assert ask(asked, env, transition()).status == AdviceStatus.OK
    assert asked.asker.budget.spent.calls == 4
    assert asked.statistics.events["calls"] == 4


def test_the_budget_ends_retries_too(advisor: Make, env: EnvDescription, transition: MakeTransition) -> None:
    model = Model(DOWN, DOWN, good)
    asked = advisor(model, retry={"backoff": 0.001}, budget={"calls": 2})
    assert ask(asked, env, transition()).status == AdviceStatus.BUDGET
    assert len(model.asked) == 2


@pytest.mark.parametrize("money", ["NaN", "1e400", "-1", '"much"'])
def test_a_spending_that_is_no_number_is_refused(money: str, tmp_path: Path) -> None:
    """Nothing is more than NaN: no budget would ever be spent."""
    ledger = tmp_path / "spending.json"
    ledger.write_text(f'{{"calls": 1, "tokens": 1, "money": {money}}}')
    with pytest.raises(VarlError, match="does not hold the advisor's spending"):
        Budget(BudgetConfig(), ledger)


def test_a_call_that_was_given_up_is_paid(advisor: Make, env: EnvDescription, transition: MakeTransition) -> None:
    model = Model(good)
    asked = advisor(model, budget={"price_in": 1.0, "price_out": 1.0})
    model.replies = [never(asked)]
    assert ask(asked, env, transition()).status == AdviceStatus.TIMEOUT
    spent = asked.asker.budget.spent
    assert spent.calls == 1
    assert spent.tokens > 600 + 200  # words, a picture of 640x480, and an answer
    assert spent.money == pytest.approx(spent.tokens / 1e6)


def test_answers_without_a_count_of_tokens_are_estimated(
    advisor: Make, env: EnvDescription, transition: MakeTransition, server: Server
) -> None:
    asked = advisor(backend="openai", openai={"base_url": server.url, "model": "m"})
    server.behaviour = "uncounted"
    assert ask(asked, env, transition()).status == AdviceStatus.OK
    assert asked.statistics.tokens_in > 600
    assert 10 < asked.statistics.tokens_out < 200


def test_a_cached_reply_does_not_hide_that_the_server_is_silent(
    advisor: Make, env: EnvDescription, transition: MakeTransition, tmp_path: Path
) -> None:
    """Of each request one state is in the cache, and the server hangs on the other."""
    settings: dict[str, Any] = {"cache": {"mode": "auto", "folder": str(tmp_path / "kept")}, "breaker": {"failures": 1}}
    ask(advisor(Model(good), **settings), env, transition(0))
    model = Model(good)
    asked = advisor(model, **settings)
    model.replies = [never(asked)]
    states = [transition(0), replace(transition(1), id=1)]
    statuses = [advice.status for advice in asked.ask(env, states, 20.0).result(40).advice]
    assert statuses == [AdviceStatus.OK, AdviceStatus.TIMEOUT]
    assert asked.asker.breaker.open


@pytest.fixture
def server() -> Iterator[Server]:
    pytest.importorskip("openai")
    with Server() as running:
        yield running


@pytest.mark.parametrize("key", ["x", "large", "none", "direction"])
def test_a_key_that_is_a_word_changes_no_answer(
    advisor: Make,
    env: EnvDescription,
    transition: MakeTransition,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
) -> None:
    monkeypatch.setenv("SOME_KEY", key)
    asked = advisor(backend="openai", openai={"base_url": server.url, "model": "m", "api_key_env": "SOME_KEY"})
    advice = ask(asked, env, transition())
    assert advice.action.tolist() == [-1.0] * 4
    assert server.calls[0].authorization == f"Bearer {key}"


@pytest.mark.parametrize("behaviour", ["parrot", "parrot_in_prose", "wrong_key"])
def test_a_key_that_is_repeated_is_nowhere_to_be_read(
    advisor: Make, env: EnvDescription, transition: MakeTransition, server: Server, monkeypatch: pytest.MonkeyPatch,
    behaviour: str, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("SOME_KEY", KEY)
    server.behaviour = behaviour
    openai = {"base_url": server.url, "model": "m", "api_key_env": "SOME_KEY"}
    advice = ask(advisor(backend="openai", openai=openai, cache={"folder": str(tmp_path)}), env, transition())
    assert "***" in advice.reason
    assert KEY[-6:] not in advice.reason
    assert not any(KEY in path.read_text() for path in tmp_path.rglob("*.json"))


def test_one_probe_of_many_questions_reaches_the_server(
    advisor: Make, env: EnvDescription, transition: MakeTransition, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, enter = threading.Semaphore(0), Breaker.enter

    def counted(breaker: Breaker) -> Any:
        entered.release()
        return enter(breaker)

    monkeypatch.setattr(Breaker, "enter", counted)

    async def when_all_have_tried(question: Question) -> Reply:
        for _ in range(8):
            await asyncio.to_thread(entered.acquire)
        return good(question)

    model = Model(DOWN)
    asked = advisor(model, breaker={"failures": 1, "rest": 0.001}, retry={"attempts": 1}, in_flight=8)
    ask(asked, env, transition())
    entered.acquire()
    model.replies = [None]
    model.reply = lambda question, sample: when_all_have_tried(question)  # type: ignore[method-assign]
    states = [replace(transition(number), id=number) for number in range(8)]
    statuses = [advice.status for advice in asked.ask(env, states, 20.0).result(40).advice]
    assert sorted(statuses) == [AdviceStatus.OK] + [AdviceStatus.UNAVAILABLE] * 7
