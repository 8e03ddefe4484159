"""From a model's words to a validated answer: all that is not what was asked for is refused, with the reason."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError
from varl_common.advice_status import AdviceStatus

from varl_vlm_advisor.answer.extraction import Unusable, objects, split_thinking
from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.backends.api_key import hide
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.question.schema import Answer
from varl_vlm_advisor.types import NoAdvice

MAX_CHARACTERS = 65_536
"""An answer longer than this is not read; a model may think longer than that before it."""
MAX_THOUGHT = 1_000_000
"""Characters of thinking and answer together that are looked through: at 4 a token, 250,000 tokens."""
_DECLINES = (
    "i'm sorry", "i am sorry", "i can't", "i cannot", "sorry,", "as an ai", "i'm unable", "i am unable", "i'm not able",
    "i am not able", "i won't", "i must decline", "unfortunately, i",
)  # fmt: skip


def parse(question: Question, reply: Reply) -> Answer:
    """The validated answer in ``reply``: the last one that it holds.

    Its reason, which people read, is without the key; all else is as the model said it.

    Raises:
        NoAdvice: REFUSED where the model declines; INVALID, and worth one more try, for everything else.
    """
    answer = _parse(question, reply)
    return answer.model_copy(update={"reason": hide(answer.reason, reply.secret)})


def _parse(question: Question, reply: Reply) -> Answer:
    if reply.refusal:
        refusal = _short(hide(reply.refusal, reply.secret))
        raise NoAdvice(AdviceStatus.REFUSED, f"the model declined: {refusal}")
    if len(reply.text) > MAX_THOUGHT:
        raise _invalid(f"it is {len(reply.text)} characters long with its thinking, more than {MAX_THOUGHT}")
    said, thinking = split_thinking(reply.text)
    # Servers that hold a model to a schema put its whole answer into the thinking (vllm-project/vllm#16182); what a
    # model that was cut off had been thinking is none.
    if not said.strip() and not reply.truncated:
        said = f"{thinking}\n{reply.thinking}"
    if len(said) > MAX_CHARACTERS:
        raise _invalid(f"it is {len(said)} characters long, more than {MAX_CHARACTERS}")
    found = _best(question, said)
    if isinstance(found, Answer):
        return found
    said = hide(said, reply.secret)  # from here on it is for people to read
    if re.search(r"^\s*(\S)\1{15,}\s*$|!{32}\s*$", said):  # vllm-project/vllm#14126: what overflow comes out as
        again = _short(said.strip()[-20:], 20)
        raise _invalid(f"it is one character over and over ({again}): serve it in bfloat16, not in float16")
    if reply.truncated:
        at_work = "" if said.strip() else " while it was thinking; raise max_tokens, or turn its thinking off"
        raise _invalid(f"it was cut off at the token limit{at_work}")
    if found:
        raise _invalid(hide(found, reply.secret))
    if said.strip().lower().replace("\u2019", "'").startswith(_DECLINES):
        raise NoAdvice(AdviceStatus.REFUSED, f"the model declined: {_short(said)}")
    raise _invalid(_without_object(said))


def _best(question: Question, text: str) -> Answer | str:
    """The last answer in ``text`` that validates, else what is wrong with the object that is most like one."""
    fields = question.answer_model.model_fields.keys()
    likest, problem = 0, ""
    for found in objects(text):
        likeness, wrong = 1, ""
        if isinstance(found, Unusable):
            wrong = str(found)
        else:
            answer = _validated(question, found)
            if isinstance(answer, Answer):
                return answer
            likeness, wrong = 1 + len(fields & found.keys()), answer
        if likeness > likest:
            likest, problem = likeness, wrong
    return problem


def _validated(question: Question, found: dict[str, Any]) -> Answer | str:
    try:
        answer = question.answer_model.model_validate(found)
    except (ValidationError, RecursionError) as error:
        return _sentence(error)
    return answer if answer.id == question.id else f'"id" is {answer.id}, expected {question.id}'


def _without_object(said: str) -> str:
    """Why ``said`` holds no JSON object at all."""
    if not said.strip():
        return "it is empty"
    opening = re.search(r'\{\s*"', said)
    if opening is None:
        return f"it holds no JSON object: {_short(said)}"
    return f"its JSON is malformed or cut off: {_short(said[opening.start() :])}"


def _invalid(reason: str) -> NoAdvice:
    return NoAdvice(AdviceStatus.INVALID, f"answer not usable: {reason}", retry=True)


def _sentence(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "it is nested too deeply"
    first, *more = error.errors(include_url=False, include_context=False, include_input=False)
    field = ".".join(str(part) for part in first["loc"])
    others = f" (and {len(more)} more)" if more else ""
    return f"{_short(field, 60)}: {first['msg']}{others}"


def _short(text: str, limit: int = 120) -> str:
    """``text`` on one line of printable characters, at most ``limit`` of them."""
    line = "".join(c if c.isprintable() else " " for c in text[: 4 * limit])
    line = " ".join(line.split())
    return repr(line if len(line) <= limit else line[: limit - 3] + "...")
