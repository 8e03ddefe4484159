"""From a model's words to an action: everything that is not exactly what was asked for is refused, with the reason."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError
from varl_common.advice_status import AdviceStatus

from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.question.schema import Answer
from varl_vlm_advisor.types import NoAdvice

MAX_CHARACTERS = 65_536
"""An answer longer than this is not read."""
_DECLINES = ("i'm sorry", "i am sorry", "i can't", "i cannot", "sorry,", "as an ai")


def parse(question: Question, reply: Reply) -> Answer:
    """The validated answer in ``reply``.

    Raises:
        NoAdvice: REFUSED where the model declines; INVALID, and worth one more try, for everything else.
    """
    text = reply.text
    if len(text) > MAX_CHARACTERS:
        raise _invalid(f"it is {len(text)} characters long, more than {MAX_CHARACTERS}")
    if reply.truncated:
        raise _invalid("it was cut off at the token limit")
    fields = _first_object(text)
    if fields is None:
        if text.strip().lower().replace("\u2019", "'").startswith(_DECLINES):
            raise NoAdvice(AdviceStatus.REFUSED, f"the model declined: {_short(text)}")
        raise _invalid(f"it holds no JSON object: {_short(text)}" if text.strip() else "it is empty")
    try:
        answer = question.answer_model.model_validate(fields)
    except (ValidationError, RecursionError) as error:
        raise _invalid(_sentence(error)) from None
    if answer.id != question.id:
        raise _invalid(f'"id" is {answer.id}, expected {question.id}')
    if not answer.can_tell:
        raise NoAdvice(AdviceStatus.REFUSED, f"the model cannot tell: {answer.reason}")
    return answer


def _first_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in ``text``, which may stand in prose or a code fence; None where there is none."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_not_a_number)
    start = text.find("{")
    if start < 0:
        return None
    try:
        found, _ = decoder.raw_decode(text, start)
    except _Unusable as error:
        raise _invalid(str(error)) from None
    except (ValueError, RecursionError):
        raise _invalid(f"its JSON is malformed or cut off: {_short(text[start:])}") from None
    assert isinstance(found, dict)
    return found


class _Unusable(Exception):
    """JSON that Python would read, but which does not mean anything definite."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Unusable("a field is given twice")
    return found


def _not_a_number(name: str) -> float:
    raise _Unusable(f"{name} is not a number that JSON knows")


def _invalid(reason: str) -> NoAdvice:
    return NoAdvice(AdviceStatus.INVALID, f"answer not usable: {reason}", retry=True)


def _sentence(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "it is nested too deeply"
    first, *more = error.errors(include_url=False, include_context=False, include_input=False)
    field = ".".join(str(part) for part in first["loc"])
    others = f" (and {len(more)} more)" if more else ""
    return f'"{_short(field)}": {first["msg"]}{others}'


def _short(text: str, limit: int = 120) -> str:
    """``text`` on one line of printable characters, at most ``limit`` of them."""
    line = "".join(c if c.isprintable() else " " for c in text[: 4 * limit])
    line = " ".join(line.split())
    return repr(line if len(line) <= limit else line[: limit - 3] + "...")
