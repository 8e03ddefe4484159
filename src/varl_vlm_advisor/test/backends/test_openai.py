"""The client against a server that misbehaves: every state gets a status by the deadline, and no key gets out."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from varl_common.advice_status import AdviceStatus
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.testing.server import BEHAVIOURS, KEY, Server
from varl_vlm_advisor.types import Answers, State

pytest.importorskip("openai")

DEADLINE = 20.0
LATE = 5.0  # benchmarks/advisor.py measures how late an answer is; here the machine may be busy
OK, REFUSED, INVALID, TIMEOUT, UNAVAILABLE = (
    AdviceStatus.OK,
    AdviceStatus.REFUSED,
    AdviceStatus.INVALID,
    AdviceStatus.TIMEOUT,
    AdviceStatus.UNAVAILABLE,
)
EXPECTED = {
    "good": OK,
    "prose": OK,
    "no_schema": OK,
    "rate_limited": UNAVAILABLE,
    "rate_limited_once": OK,
    "rate_limited_long": UNAVAILABLE,
    "broken": UNAVAILABLE,
    "broken_once": OK,
    "wrong_key": UNAVAILABLE,
    "unknown_model": UNAVAILABLE,
    "slow": OK,
    "hang": TIMEOUT,
    "drip": TIMEOUT,
    "drop": UNAVAILABLE,
    "cut_off": UNAVAILABLE,
    "drop_once": OK,
    "truncated": INVALID,
    "cut_json": INVALID,
    "cut_json_once": OK,
    "wrong_id": INVALID,
    "no_id": INVALID,
    "nan": INVALID,
    "out_of_range": INVALID,
    "refusal": REFUSED,
    "refusal_in_prose": REFUSED,
    "cannot_tell": REFUSED,
    "empty": INVALID,
    "no_choices": INVALID,
    "not_json": UNAVAILABLE,
    "invalid_utf8": INVALID,
    "huge": INVALID,
    "uncounted": OK,
    "parrot": OK,
    "parrot_in_prose": INVALID,
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("TEST_KEY", KEY)
    with Server() as running:
        yield running


@pytest.fixture
def client(server: Server, advisor: Callable[..., Advisor]) -> Callable[..., Advisor]:
    def make(**settings: Any) -> Advisor:
        options = {"base_url": server.url, "model": "m", "api_key_env": "TEST_KEY", **settings.pop("openai", {})}
        settings = {"retry": {"backoff": 0.05}, "breaker": {"failures": 100}, **settings}
        return advisor(backend="openai", openai=options, **settings)

    return make


def ask(advisor: Advisor, env: EnvDescription, states: list[State], deadline: float = DEADLINE) -> Answers:
    start = time.monotonic()
    answers = advisor.ask(env, states, deadline).result(deadline + 2 * LATE)
    assert time.monotonic() - start < deadline + LATE
    assert [advice.id for advice in answers.advice] == [state.id for state in states]
    return answers


def test_every_behaviour_has_an_expectation() -> None:
    assert set(EXPECTED) == set(BEHAVIOURS)


@pytest.mark.parametrize(("behaviour", "status"), EXPECTED.items())
def test_each_misbehaviour_ends_in_a_status_by_the_deadline(
    client: Any, server: Server, env: EnvDescription, transition: Any, behaviour: str, status: AdviceStatus,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    server.behaviour = behaviour
    deadline = 1.0 if status == TIMEOUT else DEADLINE
    answers = ask(client(), env, [transition(number) for number in range(3)], deadline)
    assert [advice.status for advice in answers.advice] == [status] * 3, answers.advice
    for advice in answers.advice:
        assert (advice.action is not None) == (status == OK)
        assert advice.reason
        assert len(advice.reason) < 500
        assert KEY not in advice.reason
    assert KEY not in caplog.text
    assert server.calls[0].authorization == f"Bearer {KEY}"


def test_a_key_may_come_from_a_file(
    client: Any, server: Server, env: EnvDescription, transition: Any, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    path.write_text("sk-of-the-file\n")
    ask(client(openai={"api_key_file": str(path)}), env, [transition()])
    assert server.calls[0].authorization == "Bearer sk-of-the-file"


def test_one_picture_and_the_schema_go_along(client: Any, server: Server, env: EnvDescription, transition: Any) -> None:
    ask(client(), env, [transition()])
    (call,) = server.calls
    assert call.pictures == 1
    schema = call.body["response_format"]["json_schema"]["schema"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["id", "reason", "can_tell", *env.action_names]


def test_a_format_that_the_server_does_not_know_is_asked_for_once(
    client: Any, server: Server, env: EnvDescription, transition: Any
) -> None:
    server.behaviour = "no_schema"
    asked = client(in_flight=1)
    ask(asked, env, [transition(0)])
    ask(asked, env, [transition(1)])
    forms = [call.body.get("response_format", {}).get("type") for call in server.calls]
    assert forms == ["json_schema", "json_object", None, None]


def test_what_cannot_succeed_is_not_tried_again(
    client: Any, server: Server, env: EnvDescription, transition: Any
) -> None:
    for behaviour, tries in {"wrong_key": 1, "unknown_model": 1, "rate_limited_long": 1, "broken": 3}.items():
        server.behaviour = behaviour
        server.calls.clear()
        ask(client(), env, [transition()])
        assert len(server.calls) == tries, behaviour


def test_the_repair_tells_what_was_wrong(client: Any, server: Server, env: EnvDescription, transition: Any) -> None:
    server.behaviour = "wrong_id"
    ask(client(), env, [transition()])
    assert len(server.calls) == 2
    assert '"id" is 1, expected' in server.calls[1].text


def test_the_breaker_leaves_a_broken_server_alone_and_comes_back(
    client: Any, server: Server, env: EnvDescription, transition: Any
) -> None:
    for rest, after in ((600.0, UNAVAILABLE), (0.01, OK)):
        asked = client(breaker={"failures": 3, "rest": rest}, retry={"attempts": 1}, in_flight=1)
        server.behaviour = "broken"
        server.calls.clear()
        ask(asked, env, [transition(number) for number in range(3)])
        assert asked.asker.breaker.open
        server.behaviour = "good"
        time.sleep(0.02)
        assert ask(asked, env, [transition()]).advice[0].status == after
        assert len(server.calls) == (4 if after == OK else 3)


def test_no_more_in_flight_than_told(client: Any, server: Server, env: EnvDescription, transition: Any) -> None:
    server.behaviour = "slow"  # half a second each
    start = time.monotonic()
    ask(client(in_flight=2), env, [transition(number) for number in range(4)])
    assert time.monotonic() - start >= 1.0


def test_the_budget_outlives_the_node(
    client: Any, server: Server, env: EnvDescription, transition: Any, tmp_path: Path
) -> None:
    settings = {"run_dir": str(tmp_path), "budget": {"calls": 5}, "in_flight": 1}
    first = ask(client(**settings), env, [transition(number) for number in range(3)])
    second = ask(client(**settings), env, [transition(number) for number in range(3)])
    assert [advice.status for advice in first.advice] == [OK] * 3
    assert [advice.status for advice in second.advice] == [OK, OK, AdviceStatus.BUDGET]
    assert "5 calls" in second.advice[2].reason
    assert len(server.calls) == 5


def test_money_is_counted_by_the_prices(client: Any, env: EnvDescription, transition: Any) -> None:
    asked = client(budget={"money": 0.002, "price_in": 1.0, "price_out": 2.0}, in_flight=1)
    answers = ask(asked, env, [transition(number) for number in range(3)])  # 900 and 60 tokens: 0.00102 each
    assert [advice.status for advice in answers.advice] == [OK, OK, AdviceStatus.BUDGET]
    assert asked.asker.budget.spent.money == pytest.approx(2 * 0.00102)


@pytest.mark.parametrize("behaviour", ["cut_off", "drop", "not_json", "no_choices"])
def test_an_answer_that_was_lost_is_paid(
    client: Any, server: Server, env: EnvDescription, transition: Any, behaviour: str
) -> None:
    server.behaviour = behaviour
    asked = client()
    ask(asked, env, [transition()])
    assert asked.asker.budget.spent.calls == len(server.calls)
    assert asked.asker.budget.spent.tokens > 600 * len(server.calls)  # words and a picture each


def test_a_question_that_reached_nobody_costs_nothing(client: Any, env: EnvDescription, transition: Any) -> None:
    asked = client(openai={"base_url": "http://127.0.0.1:1/v1"})
    assert "cannot be reached" in ask(asked, env, [transition()]).advice[0].reason
    assert asked.asker.budget.spent.tokens == 0


def test_a_paid_run_can_be_repeated_for_nothing(
    client: Any, advisor: Callable[..., Advisor], server: Server, env: EnvDescription, transition: Any, tmp_path: Path
) -> None:
    states = [transition(number) for number in range(3)]
    folder = str(tmp_path / "recorded")
    recorded = ask(client(cache={"mode": "auto", "folder": folder}), env, states)
    server.behaviour = "broken"
    calls = len(server.calls)
    cached = ask(client(cache={"mode": "replay", "folder": folder}), env, states)
    (model,) = (tmp_path / "recorded").iterdir()
    replayed = ask(advisor(backend="replay", replay={"folder": str(model)}), env, states)
    assert len(server.calls) == calls
    for again in (cached, replayed):
        assert [str(a.action) for a in again.advice] == [str(a.action) for a in recorded.advice]
    unseen = ask(client(cache={"mode": "replay", "folder": folder}), env, [transition(99)])
    assert unseen.advice[0].status == UNAVAILABLE
    assert not any(KEY in path.read_text() for path in model.rglob("*.json"))


def test_a_model_that_does_not_look_is_flagged(client: Any, env: EnvDescription, transition: Any) -> None:
    answers = ask(client(), env, [transition(number) for number in range(8)])
    assert all(advice.reason.startswith("[the same answer") for advice in answers.advice)


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"model": ""}, "openai.model is not set"),
        ({"base_url": "localhost:8000"}, "expected a URL"),
        ({"base_url": f"http://me:{KEY}@host/v1"}, "no place in openai.base_url"),
        ({"base_url": "https://api.openai.com/v1", "api_key_env": "NOT_SET"}, "wants a key"),
        ({"api_key_file": "/no/such/file"}, "cannot be read"),
        ({"extra": "top_p=1"}, "expected a JSON object"),
    ],
)
def test_a_wrong_setting_is_one_sentence(client: Any, settings: dict[str, Any], remedy: str) -> None:
    with pytest.raises(VarlError, match=remedy) as caught:
        client(openai=settings)
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)
