"""A server that answers each request as a table says, and an advisor that asks it twice."""

import json
from collections.abc import Callable, Iterator

import pytest
from varl_common.advice_status import AdviceStatus
from varl_common.env_description import EnvDescription
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.testing.server import Call, Handler, Server, good_answer
from varl_vlm_advisor.testing.shapes import Shape
from varl_vlm_advisor.types import State


@pytest.fixture
def holds(
    advisor: Callable[..., Advisor], env: EnvDescription, transition: Callable[..., State]
) -> Iterator[Callable[[Shape], None]]:
    """Checks that a shape comes to its right status or answer, and that the budget has each of its requests."""
    with Server() as server:

        def respond(_: Server, handler: Handler, call: Call) -> None:
            status, body, *headers = shape_now[0].answer(call, good_answer(call))
            text = body if isinstance(body, str) else json.dumps(body)
            handler.send(status, text.encode(), headers[0] if headers else None)

        shape_now: list[Shape] = []

        def check(shape: Shape) -> None:
            shape_now[:] = [shape]
            server.behaviour = respond
            openai = {"base_url": server.url, "model": "m"}
            asked = advisor(backend="openai", openai=openai, retry={"backoff": 0.01}, breaker={"failures": 100})
            for question, calls in enumerate(shape.calls):
                before = len(server.calls)
                (advice,) = asked.ask(env, [transition(question)], 20.0).result(30).advice
                assert advice.status == shape.status, advice
                assert shape.reason in advice.reason
                if shape.status == AdviceStatus.OK:
                    assert advice.action is not None
                    assert advice.action.tolist() == [-1.0] * 4  # and not a draft's
                assert len(server.calls) - before == calls, [call.body for call in server.calls[before:]]
            assert asked.asker.budget.spent.calls == len(server.calls)

        yield check
