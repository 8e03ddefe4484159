"""What a server's refusal means: whether asking again can help, whose fault it is, and what the server itself says."""

from __future__ import annotations

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
_WORDS = ("message", "msg", "detail", "error", "error_msg", "errorMessage", "status_msg", "reason", "description")
"""Where servers put their reason: OpenAI, vLLM, FastAPI, Ollama and TGI, Mistral, Cloudflare, MiniMax, Azure."""

_NO_PICTURES = re.compile(
    r"support (image|vision|multimodal) in|(image|vision)s?( input)? (is|are) not supported|mmproj|0 image"
    r"|not (a )?multimodal|n[o']t support (image|vision|multimodal)|variant `?image_url|image_url.? is (only|not)"
    r"|content must be a string|untagged enum chatcompletionrequestcontent|required for image"
    r"|cannot (read|process|accept) image"
)
_FILTER = re.compile(
    r"content[ _](filter|management|policy)|responsibleaipolicy|data_inspection_failed|moderation|flagged|safety system"
)
_UNPAID = re.compile(
    r"insufficient[ _](quota|balance|credit|fund)|credit balance|not enough credit|more credits|payment required"
    r"|billing[ _](hard|not)|arrearage|exceeded your (monthly|spending)"
)
_BROKEN_ANSWER = re.compile(r"json_validate_failed|failed_generation")
_WAIT = re.compile(r"(?:try again|retry|retrydelay)\W*(?:in|after)?\W*([\d.]+)\s*(ms|s)\b")


@dataclass
class ServerError(Exception):
    """A response that is no completion: its HTTP status (0: as the body says), headers and body."""

    status: int
    headers: Mapping[str, str]
    body: str

    def __post_init__(self) -> None:
        if self.status < 400:  # an error that came in a response that was good so far
            code = re.search(r'"(?:code|status|status_code)":\s*"?([45]\d\d)\b', self.body)
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
        found = _WAIT.search(self.body.lower())
        return float(found[1].rstrip(".")) * (1e-3 if found[2] == "ms" else 1.0) if found else 0.0


def words_of(body: str) -> str:
    """A body's own reason on one line: of JSON the message that lies deepest, of HTML and other text the text."""
    try:
        found = _deepest(json.loads(body))
    except (ValueError, RecursionError):
        found = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", body, flags=re.DOTALL)
    line = " ".join("".join(c if c.isprintable() else " " for c in found).split())
    return line[:_SHOWN] if line else "(it gives no reason)"


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
            found += [
                str(item[name]) for name in ("code", "type", "param", "status") if isinstance(item.get(name), str)
            ]
            level += [value for name, value in item.items() if name not in ("input", "body", "request")]
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
    for name in _WORDS:
        found = _deepest(value.get(name))
        if found:
            at = value.get("loc")
            return f"{'.'.join(map(str, at))}: {found}" if isinstance(at, list) else found
    return "; ".join(filter(None, (_deepest(item) for item in value.values() if isinstance(item, dict | list))))
