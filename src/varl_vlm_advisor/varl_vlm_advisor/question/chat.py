"""A question as a chat, in the form that chat templates and OpenAI-compatible servers share."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from string import Template
from typing import Any, Protocol


class Asked(Protocol):
    """What a chat is made of: a :class:`~varl_vlm_advisor.question.question.Question`, or one that is taught."""

    @property
    def system(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def image(self) -> bytes: ...
    @property
    def template(self) -> str: ...
    @property
    def rejected(self) -> str: ...
    @property
    def objection(self) -> str: ...


def messages(
    question: Asked, picture: Callable[[bytes], dict[str, Any]], plain: bool = False, system: bool = True
) -> list[dict[str, Any]]:
    """System, user with ``picture(jpeg)`` and, where an answer was rejected, that and the objection.

    ``plain`` writes what is text alone as a string, which every server takes; chat templates want parts. Without
    ``system`` the rules begin the user's message: some chat templates know no other role.
    """
    content = [picture(question.image)] if question.image else []
    text = question.text if system else f"{question.system}\n\n{question.text}"
    chat = [_said("system", question.system, plain)] if system else []
    chat.append({"role": "user", "content": [*content, _text(text)]})
    if question.objection:
        chat += [_said("assistant", question.rejected, plain), _said("user", _repair(question), plain)]
    return chat


def _said(role: str, text: str, plain: bool) -> dict[str, Any]:
    return {"role": role, "content": text if plain else [_text(text)]}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _repair(question: Asked) -> str:
    path = files("varl_vlm_advisor") / "templates" / question.template / "repair.md"
    return Template(path.read_text(encoding="utf-8")).substitute(objection=question.objection)
