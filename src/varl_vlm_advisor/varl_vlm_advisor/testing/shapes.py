"""Shapes of server answers: what a server sends in answer to a request, and what the advisor should make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from varl_common.advice_status import AdviceStatus

from varl_vlm_advisor.testing.server import Call


@dataclass(frozen=True)
class Shape:
    """How a server answers, and what is right.

    ``answer`` makes the status, the body (an object, or text as it is) and the headers from the request and the answer
    that would be right. ``calls`` are the requests of the first question and of the second one, which comes later.
    """

    source: str
    answer: Callable[[Call, str], tuple[Any, ...]]
    status: AdviceStatus = AdviceStatus.OK
    reason: str = ""
    calls: tuple[int, int] = (1, 1)


def said(message: Any, finish: str = "stop", **choice: Any) -> dict[str, Any]:
    """A chat completion with ``message``."""
    usage = {"prompt_tokens": 900, "completion_tokens": 60}
    return {"choices": [{"index": 0, "finish_reason": finish, "message": message, **choice}], "usage": usage}
