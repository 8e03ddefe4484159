"""How a server is asked, and what is asked differently once it has refused a part of that."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

RESPONSE_FORMATS = ("json_schema", "json_object", "text")
"""Ways to ask for the form of an answer, the strictest first."""

# What servers say when they refuse each part of a request, and how a refusal is known from a mere mention.
_NAMED = {
    "stream": r"only supports? stream|enable the stream|non-streaming|stream.{0,20}must be true|set stream"
    r"|\bstream: field required",
    "system": r"system role|got system|'system' (is|with)|not support 'system'|roles must alternate|developer instruct"
    r"|role:? [\"'`]?system|system messages? (is|are) not|first message must use the .user|'user' or 'assistant'"
    r"|only user(,| and) assistant",
    "picture": r"image_url\S*: (input should be a valid string|str type expected)|image_url of type string"
    r"|image_url.{0,12} must be a string",
    "limit": r"max_tokens|max_completion_tokens",
    "temperature": r"temperature",
    "response_format": r"response_format|response_schema|json_schema|json_object|json schema|json mode|invalid schema"
    r"|guided|grammar|structured.outp|outlines",
}
_REFUSING = re.compile(
    r"unsupported|not support|n.t support|unknown|unrecognized|unrecognised|extra_forbidden|extra inputs|unexpected"
    r"|not (permitted|allowed|available|implemented|enabled)|deprecated|instead|cannot find|only the default|must be"
    r"|unavailable|invalid|fail|disabled"
)
_SAYS_ENOUGH = ("stream", "system", "picture")
"""What is named above by the refusal itself."""
_SOMETHING_ELSE = re.compile(r"invalid model|model.{0,40}(not found|not exist|no such)|no such model|api key|image")
_TOO_LARGE = re.compile(r"too large|context length|context size|maximum context|exceed|at least|less than|greater than")


@dataclass(frozen=True)
class RequestForm:
    """What may still be tried of each part of a request, the best first: what a server refuses is dropped for good."""

    response_format: tuple[str, ...] = RESPONSE_FORMATS
    limit: tuple[str, ...] = ("max_tokens", "max_completion_tokens", "")
    """Names of the limit of an answer's tokens; OpenAI has renamed it, and others know only one or none."""
    temperature: tuple[bool, ...] = (True, False)
    """Whether a temperature is sent: some models know only their own."""
    system: tuple[bool, ...] = (True, False)
    """Whether the rules are a message of the system; else they begin the user's, as some chat templates demand."""
    picture: tuple[str, ...] = ("object", "string")
    """Whether a picture's address is in an object, as OpenAI has it, or a bare string, as Mistral once had it."""
    stream: tuple[bool, ...] = (False, True)
    changes: tuple[str, ...] = field(default=(), compare=False)
    """What was changed, in words."""

    def without(self, part: str) -> RequestForm | None:
        """The form with the next way of ``part``; None where none is left."""
        ways = getattr(self, part)
        if len(ways) < 2:
            return None
        changed: dict[str, Any] = {part: ways[1:], "changes": (*self.changes, f"{part} {ways[0]!r} -> {ways[1]!r}")}
        return replace(self, **changed)

    def adapted(self, told: str) -> RequestForm | None:
        """The form without the part that a refusal (in lower case) names; None where it names none that can change."""
        for part, pattern in _NAMED.items():
            found = re.search(pattern, told)
            if found is None or (part not in _SAYS_ENOUGH and not _REFUSING.search(told)):
                continue
            if part in ("limit", "temperature") and _TOO_LARGE.search(told):
                continue
            changed = self.without(part)
            if changed is not None:
                return changed
        return None

    def guessed(self, told: str) -> RequestForm | None:
        """The form for a refusal that does not say what it refuses: most likely the form of the answer."""
        if _SOMETHING_ELSE.search(told) or _TOO_LARGE.search(told):
            return None
        return self.without("response_format")
