"""What a server's refusal means: whether asking again can help, whose fault it is, and what the server itself says."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from varl_common.advice_status import AdviceStatus

from varl_vlm_advisor.types import NoAdvice

_SHOWN = 240
"""Characters of a server's words that are passed on."""
NO_WORDS = "(it gives no reason)"
_WORDS = (
    "message", "msg", "faultstring", "detail", "error_description", "error", "error_msg", "errormessage", "status_msg",
    "reason", "description", "title",
)  # fmt: skip
"""Where servers put their reason, in lower case: OpenAI, vLLM, FastAPI, OAuth, Ollama and TGI, Mistral, Cloudflare,
Apigee, MiniMax, Azure, RFC 9457."""
_LABELS = ("code", "type", "param", "parameter", "field", "path", "status")
_ECHO = ("input", "body", "request", "messages")
"""Where they repeat the request."""

_NO_PICTURES = re.compile(
    r"support (image|vision|multimodal) in|(image|vision)s?( input)? (is|are) not supported|mmproj|0 image"
    r"|not (a )?multimodal|n[o']t support (image|vision|multimodal)|variant `?image_url|image_url.? is (only|not)"
    r"|content must be a string|content(\.str)?: input should be a valid string"
    r"|untagged enum chatcompletionrequestcontent|required for image"
    r"|cannot (read|process|accept) image"
)
_FILTER = re.compile(
    r"content[ _](filter|management|policy)|responsibleaipolicy|data_inspection_failed|moderation|flagged|safety system"
    r"|敏感"  # Zhipu: "sensitive"
)
_UNPAID = re.compile(
    r"insufficient[ _](quota|balance|credit|fund)|credit balance|not enough credit|more credits|payment required"
    r"|billing[ _](hard|not)|arrearage|exceeded your (monthly|spending)|key limit exceeded"
    r"|余额不足|欠费"  # "balance too low", "in arrears"
)
_BROKEN_ANSWER = re.compile(r"json_validate_failed|failed_generation")
_PERIOD = r"\d+(?:\.\d+)?\s*(?:ms|milli|h|m|s)[a-z]*\s*"
_WAIT = re.compile(rf"(?:try again|retry|wait)\w*\W*(?:in|after|for)?\W*((?:{_PERIOD})+)")
_WAIT_FIELD = re.compile(r'retry[-_ ]?after\w*"?\s*[:=]\s*"?(\d+(?:\.\d+)?)')
_SECONDS = {"milli": 1e-3, "ms": 1e-3, "m": 60.0, "h": 3600.0, "s": 1.0}
"""Of units of time, by what their names begin with; the first that fits."""


@dataclass
class ServerError(Exception):
    """A response that is no completion: its HTTP status (0: as the body says), headers and body."""

    status: int
    headers: Mapping[str, str]
    body: str

    def __post_init__(self) -> None:
        if self.status < 300:  # an error that came in a response that was good so far
            code = re.search(r'"(?:code|status|status_?code)":\s*"?([45]\d\d)\b', self.body, re.IGNORECASE)
            self.status = int(code[1]) if code else 502
        self.words = words_of(self.body)
        """The server's own reason, on one short line."""
        self.told = f"{self.words} {' '.join(_labels(self.body))}".lower()
        """Its reason with its codes, to look for what it refuses; not the whole body, which may repeat the request."""

    @property
    def refuses_pictures(self) -> bool:
        """Whether the model, as it is served, takes no picture."""
        return bool(self.status in (400, 404, 415, 422, 500, 501) and _NO_PICTURES.search(self.told))

    def no_advice(self, where: str, model: str, key: str) -> NoAdvice:
        """What it means for the question; ``where`` is the server's address, ``key`` the place that the key is from."""
        said = f"{where} answers {self.status}: {self.words}"
        if self.status < 500 and _FILTER.search(self.told):
            return NoAdvice(AdviceStatus.REFUSED, said)
        if _BROKEN_ANSWER.search(self.told):  # Groq holds a model to the form by refusing what it has answered
            return NoAdvice(AdviceStatus.INVALID, said, True)
        if self.status == 402 or _UNPAID.search(self.told):
            return NoAdvice(AdviceStatus.BUDGET, f"{said}; the account with the server is spent")
        if self.refuses_pictures:
            return NoAdvice(AdviceStatus.UNAVAILABLE, f"{said}; serve a model that sees, with its vision part")
        if self.status in (401, 403):
            return NoAdvice(AdviceStatus.UNAVAILABLE, f"{said}; the server refuses the key, check {key}")
        if self.status in (404, 405):
            return NoAdvice(
                AdviceStatus.UNAVAILABLE,
                f"{said}; check openai.model ({model!r}) and openai.base_url, up to and with /v1",
            )
        if self.status in (408, 409, 425, 429) or self.status >= 500:
            return NoAdvice(AdviceStatus.UNAVAILABLE, said, True, self._wait())
        return NoAdvice(AdviceStatus.UNAVAILABLE, said)

    def _wait(self) -> float:
        """Seconds that the server asks to wait, in a header or in words; 0 where it does not say."""
        milliseconds, seconds = self.headers.get("retry-after-ms", ""), self.headers.get("retry-after", "")
        for value, unit in ((milliseconds, 1e-3), (seconds, 1.0)):
            if re.fullmatch(r"\d+(\.\d+)?", value.strip()):
                return float(value) * unit
        try:
            return max(0.0, parsedate_to_datetime(seconds).timestamp() - time())
        except (TypeError, ValueError):
            pass
        told = self.body.lower()
        if found := _WAIT.search(told):  # "try again in 7m12.5s"
            periods = re.findall(r"([\d.]+)\s*([a-z]+)", found[1])
            return sum(
                float(number) * next(s for n, s in _SECONDS.items() if unit.startswith(n)) for number, unit in periods
            )
        found = _WAIT_FIELD.search(told)
        return float(found[1]) if found else 0.0


def words_of(body: str) -> str:
    """A body's own reason on one line: of JSON the message that lies deepest, of HTML and other text the text."""
    try:
        found = _deepest(json.loads(body))
    except (ValueError, RecursionError):
        found = html.unescape(re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", body, flags=re.DOTALL))
    line = " ".join("".join(c if c.isprintable() else " " for c in found).split())
    return line[:_SHOWN] if line else NO_WORDS


def _labels(body: str) -> list[str]:
    """The codes, types and parameters that a body names, at whatever depth."""
    try:
        level: list[Any] = [json.loads(body)]
    except (ValueError, RecursionError):
        return []
    found: list[str] = []
    while level:
        item = level.pop()
        if isinstance(item, dict):
            found += [item[name] for name in _LABELS if isinstance(item.get(name), str)]
            level += [value for name, value in item.items() if name not in _ECHO]
        elif isinstance(item, list):
            level += item
    return found


def _deepest(value: Any) -> str:
    if isinstance(value, str):
        try:  # a gateway passes on another server's body as a string
            inner = json.loads(value)
        except ValueError:
            return value
        return _deepest(inner) or value
    if isinstance(value, list):
        return "; ".join(filter(None, map(_deepest, value)))
    if not isinstance(value, dict):
        return ""
    raw = value.get("metadata")
    if isinstance(raw, dict) and raw.get("raw"):  # OpenRouter: what the provider behind it said
        return f"{value.get('message', '')}: {_deepest(raw['raw'])}"
    value = {str(name).lower(): item for name, item in value.items() if name not in _ECHO}
    for name in _WORDS:
        found = _deepest(value.get(name))
        if found:
            at = value.get("loc")
            return f"{'.'.join(map(str, at))}: {found}" if isinstance(at, list) else found
    inner = [_deepest(item) for item in value.values() if isinstance(item, dict | list)]
    return "; ".join(filter(None, inner)) or "; ".join(
        item for item in value.values() if item and isinstance(item, str)
    )
