"""Ten thousand broken answers: each ends in a status, none in an action that nobody meant."""

import json
import random
import string
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from varl_common.config import Config
from varl_vlm_advisor.advisor import Advisor
from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.question import Question
from varl_vlm_advisor.schema import plan_targets
from varl_vlm_advisor.types import EnvDescription, State, Status

ODD: list[Any] = [
    None, True, -1, 0, 10**400, 1e308, float("nan"), float("inf"), "", "+LARGE", "+large ", "\ud800", "\x00", [], {},
    [[]], ["+large"], {"direction": "+"}, "9" * 5000, 0.5, "1.0", -0.0, [10, 10], [float("nan"), 1], [1], [1, 2, 3],
]  # fmt: skip


class FuzzBackend:
    """Answers with a good answer, broken in a way that the state's number decides."""

    class Settings(Config):
        """None."""

    label, identity, sees = "fuzz", "", False

    def __init__(self, _: Any = None) -> None:
        self.replies: list[str] = []

    async def reply(self, question: Question, sample: int) -> Reply:
        rng = random.Random(f"{question.id}{question.state.id}{question.rejected}")
        assert question.objection.isprintable()
        text = broken(json.dumps(good(question, rng)), rng)
        self.replies.append(text)
        return Reply(text, truncated=rng.random() < 0.02)

    async def close(self) -> None:
        pass


def good(question: Question, rng: random.Random) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": question.id, "reason": "a reason", "can_tell": True}
    if question.strategy == "direction":
        return answer | {
            name: rng.choice(form["enum"]) for name, form in question.schema["properties"].items() if "enum" in form
        }
    if question.strategy == "point":
        return answer | {"phase": "at", "point": [rng.uniform(0, 64), rng.uniform(20, 48)]}
    phase = {"x": 0.0, "y": 0.1, "z": 0.0, "opposite": "", "standoff": 0, "gripper": "open", "tolerance": 0.02}
    return answer | {"phases": [{"target": rng.choice(plan_targets(question.env)), **phase}]}


def broken(text: str, rng: random.Random) -> str:
    answer = json.loads(text)
    name = rng.choice(list(answer))
    kind = rng.randrange(10)
    if kind == 0:
        answer[name] = rng.choice(ODD)
    elif kind == 1:
        del answer[name]
    elif kind == 2:
        answer[rng.choice(["dx", "velocity", "__class__", "id "])] = rng.choice(ODD)
    elif kind == 3:
        return text[: rng.randrange(len(text))]
    elif kind == 4:
        return "".join(c if rng.random() > 0.02 else rng.choice(string.printable) for c in text)
    elif kind == 5:
        return "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randrange(200)))
    elif kind == 6:
        return rng.choice(["{" * 5000, "[" * 100000, '{"id":' * 3000, "null", "[]", '"', "{}", "1e999", "\x00", "NaN"])
    elif kind == 7:
        return text[:-1] + f', "{name}": {json.dumps(answer[name])}}}'
    elif kind == 8:
        return f"{text[rng.randrange(len(text)) :]} {text}"
    return json.dumps(answer)


@pytest.mark.parametrize(("strategy", "count"), [("direction", 8000), ("point", 1000), ("plan", 1000)])
def test_every_output_ends_in_a_status(
    advisor: Callable[..., Advisor], env: EnvDescription, moment: Callable[..., State], strategy: str, count: int
) -> None:
    backend = FuzzBackend()
    asked = advisor(backend, strategy=strategy, surface_height=0.0, picture={"width": 64}, in_flight=64)
    seen: Counter[Status] = Counter()
    size = 1 if strategy == "plan" else 500
    for first in range(0, count, size):
        states = [moment(number, pictured=strategy == "point") for number in range(first, first + size)]
        answers = asked.ask(env, states, 60.0).result(70)
        assert [advice.id for advice in answers.advice] == [state.id for state in states]
        for advice in answers.advice:
            seen[advice.status] += 1
            if advice.status == Status.OK:
                assert advice.action is not None
                assert advice.action.shape == (4,)
                assert np.isfinite(advice.action).all()
                assert np.abs(advice.action).max() <= 1.0
            else:
                assert advice.action is None
                assert advice.reason
            assert "unexpected failure" not in advice.reason, advice.reason
    assert len(backend.replies) >= count
    assert seen[Status.OK] > count * 0.1  # some mutations leave a good answer
    assert seen[Status.INVALID] > count * 0.1
