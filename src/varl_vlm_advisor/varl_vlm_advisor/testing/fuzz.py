"""A backend whose model says anything: answers of the right form, and broken ones."""

from __future__ import annotations

import json
import random
import string
from typing import Any, ClassVar

from varl_common.config import Config

from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.question.question import Question, StateQuestion
from varl_vlm_advisor.question.schema import has_stages, plan_targets

ODD: list[Any] = [
    None, True, -1, 0, 10**400, 1e308, float("nan"), float("inf"), "", "+LARGE", "+large ", "\ud800", "\x00", [], {},
    [[]], ["+large"], {"direction": "+"}, "9" * 5000, 0.5, "1.0", -0.0, [10, 10], [float("nan"), 1], [1], [1, 2, 3],
]  # fmt: skip


class FuzzBackend:
    """Answers with a good answer, broken in a way that the state's number decides."""

    class Settings(Config):
        """It has none."""

    label, identity = "fuzz", ""
    sees: ClassVar[bool] = False

    def __init__(self, settings: Settings) -> None:
        self.replies = 0

    async def reply(self, question: Question, sample: int) -> Reply:
        """An answer that may be broken in any way."""
        asked = question.state.id if isinstance(question, StateQuestion) else ""
        rng = random.Random(f"{question.id}{asked}{question.rejected}")
        assert question.objection.isprintable()
        self.replies += 1
        return Reply(broken(json.dumps(good(question, rng)), rng), truncated=rng.random() < 0.02)

    async def close(self) -> None:
        """It holds nothing."""


def good(question: Question, rng: random.Random) -> dict[str, Any]:
    """An answer that is right in form."""
    answer: dict[str, Any] = {"id": question.id, "reason": "a reason", "can_tell": True}
    if question.strategy == "direction":
        return answer | {
            name: rng.choice(form["enum"]) for name, form in question.schema["properties"].items() if "enum" in form
        }
    if question.strategy == "point":
        return answer | {"phase": "at", "point": [rng.uniform(0, 64), rng.uniform(20, 48)]}
    if question.strategy == "trajectory":
        return answer | {"waypoints": [{"x": 0.4, "y": rng.uniform(-0.2, 0.2), "z": 0.1, "gripper": "hold"}]}
    if question.strategy == "place":
        return answer | {"visible": rng.random() < 0.8, "point": [rng.uniform(0, 64), rng.uniform(20, 48)]}
    assert isinstance(question, StateQuestion)
    phase = {"x": 0.0, "y": 0.1, "z": 0.0, "opposite": "", "standoff": 0, "gripper": "open", "tolerance": 0.02}
    if has_stages(question.env):
        brings, to = rng.sample(plan_targets(question.env), 2)
        phase |= {"brings": brings, "to": to, "within": 0.04}
    return answer | {"phases": [{"target": rng.choice(plan_targets(question.env)), **phase}]}


def broken(text: str, rng: random.Random) -> str:
    """``text``, which is a JSON object, as it is or broken in one of nine ways."""
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
