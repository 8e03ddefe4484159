"""A question as a backend receives it: words, a picture, and the form of the answer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

from varl_common.env_description import EnvDescription
from varl_common.frame import Frame

from varl_vlm_advisor.question.projection import Projection
from varl_vlm_advisor.question.schema import Answer, json_schema
from varl_vlm_advisor.types import State

CHARACTERS_PER_TOKEN = 4
"""Of English, in the tokenizers of today."""
_PIXELS_PER_TOKEN = 750  # Anthropic's rule (docs.anthropic.com, Vision); Qwen2.5-VL has 784


@dataclass(frozen=True)
class Question:
    """What every backend needs to know to ask a model, whatever is asked."""

    strategy: str
    template: str
    """Version of the wording."""
    convention: str
    """Coordinates that the model points in; see :mod:`varl_vlm_advisor.question.pointing`."""
    answer_model: type[Answer]
    id: int
    """Made from the content, so that an answer that belongs to another question is known by it."""
    system: str
    text: str
    image: bytes = b""
    """JPEG as sent; empty where there is none or the backend does not look."""
    projection: Projection | None = None
    """Of ``image``; None where there is none."""
    objection: str = ""
    """What was wrong with the answer before; empty when asked for the first time."""
    rejected: str = ""
    """The answer before."""

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the answer."""
        return json_schema(self.answer_model, self.id)

    @property
    def estimated_tokens(self) -> int:
        """About how many tokens it is long; 0 for a backend that is shown no words."""
        words = len(self.system) + len(self.text) + len(self.rejected) + len(self.objection)
        seen = self.projection if self.image else None
        pixels = seen.width * seen.height if seen is not None else 0
        return words // CHARACTERS_PER_TOKEN + pixels // _PIXELS_PER_TOKEN

    def key(self, sample: int) -> str:
        """Content address of the ``sample``-th answer: equal questions have equal keys."""
        told = [
            self.strategy,
            self.template,
            self.system,
            self.text,
            self.objection,
            self.rejected,
            json.dumps(self.schema),
            sample,
        ]
        digest = hashlib.sha256(json.dumps(told).encode())
        digest.update(self.image)
        return digest.hexdigest()

    def again(self, rejected: str, objection: str) -> Self:
        """The same question with word of what was wrong with the answer."""
        sendable = rejected.encode("utf-8", "replace").decode()  # JSON can spell half a character
        return replace(self, rejected=sendable, objection=objection)


@dataclass(frozen=True, kw_only=True)
class StateQuestion(Question):
    """One state (or, for a plan, one scene) and what is asked about it."""

    env: EnvDescription
    state: State
    frame: Frame | None = None
    """The camera's picture that ``image`` was made of; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class PlaceQuestion(Question):
    """Where a picture shows a thing."""

    thing: str
    """What it looks like."""
    whole: tuple[int, int]
    """Width and height of the frame that ``image`` was made of, px."""


def content_id(*parts: bytes | str) -> int:
    """A four-digit number that depends on ``parts`` alone."""
    digest = hashlib.sha256(b"\0".join(part.encode() if isinstance(part, str) else part for part in parts))
    return 1000 + int.from_bytes(digest.digest()[:4], "big") % 9000
