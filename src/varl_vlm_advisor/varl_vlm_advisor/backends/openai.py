"""The backend ``openai``: the official client against any OpenAI-compatible server, own or rented."""

from __future__ import annotations

import base64
import copy
import json
import os
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from varl_common.advice_status import AdviceStatus
from varl_common.config import Config
from varl_common.errors import VarlError

from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.question.chat import messages
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.types import NoAdvice

_OFFICIAL = "https://api.openai.com/v1"
_FORMATS = ("json_schema", "json_object", "text")
"""Ways to ask for the form of the answer, the strictest first."""
_WITHOUT_KEY = "none"
"""What servers without keys are sent: the client insists on one."""
_SHOWN = 200
"""Characters of a server's message that are passed on."""


class OpenAIBackend:
    """One chat completion per question. Retries and deadlines are the caller's, so the client's own are off.

    A server that does not know ``response_format`` is asked with less of it; the schema is in the question anyway.
    """

    class Settings(Config):
        """Section ``openai``."""

        base_url: str = Field(default=_OFFICIAL, description="of the server's API, up to and with /v1")
        model: str = Field(default="", description="name that the server knows the model by")
        api_key_env: str = Field(default="OPENAI_API_KEY", description="environment variable with the key, if any")
        api_key_file: str = Field(default="", description="file with the key; goes before the environment")
        max_tokens: int = Field(default=1000, ge=16, le=32768, description="tokens of an answer, at most")
        temperature: float = Field(default=0.7, ge=-1.0, le=2.0, description="-1 leaves it to the server")
        extra: str = Field(default="", description="JSON object to add to the request's body")

        @field_validator("base_url")
        @classmethod
        def _url(cls, url: str) -> str:
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
                raise ValueError("expected a URL such as http://localhost:8000/v1")
            return url

        @field_validator("extra")
        @classmethod
        def _object(cls, extra: str) -> str:
            try:
                if extra and not isinstance(json.loads(extra), dict):
                    raise ValueError
            except ValueError:
                raise ValueError('expected a JSON object such as {"top_p": 0.9}') from None
            return extra

    sees: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        if not settings.model:
            raise VarlError(f"advisor: openai.model is not set; {settings.base_url}/models lists what the server has")
        url = urlsplit(settings.base_url)
        if url.username or url.password or url.query:  # told here, where the message does not repeat the value
            raise VarlError("advisor: a key has no place in openai.base_url; use api_key_env or api_key_file")
        try:
            import openai
        except ImportError:
            raise VarlError("advisor: the backend openai needs the package openai; pip install openai") from None
        self._openai = openai
        self._settings = settings
        self._key = _read_key(settings)
        # Made before anything is asked: the certificates take a tenth of a second.
        self._client = openai.AsyncOpenAI(base_url=settings.base_url, api_key=self._key or _WITHOUT_KEY, max_retries=0)
        self._format = 0
        self.label = f"openai ({settings.model})"
        self.identity = settings.model_dump_json(exclude={"api_key_env", "api_key_file"})

    async def reply(self, question: Question, sample: int) -> Reply:
        """Ask once; a refusal of the format alone is answered by asking with less of it."""
        for form in range(self._format, len(_FORMATS)):
            try:
                completion = await self._complete(question, _FORMATS[form])
            except (self._openai.BadRequestError, self._openai.UnprocessableEntityError) as error:
                if form + 1 < len(_FORMATS):
                    continue
                raise self._error(error) from None
            except (self._openai.OpenAIError, ValueError) as error:
                raise self._error(error) from None
            self._format = form  # where it works, there the next question begins
            return self._reply(completion)
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _complete(self, question: Question, form: str) -> Any:
        settings = self._settings
        # The official server has renamed the limit; most others know the old name only.
        limit = "max_completion_tokens" if settings.base_url == _OFFICIAL else "max_tokens"
        chat = messages(question, _picture, plain=True)
        body: dict[str, Any] = {"model": settings.model, "messages": chat, limit: settings.max_tokens}
        if settings.temperature >= 0:
            body["temperature"] = settings.temperature
        if form == "json_schema":
            schema = {"name": "advice", "strict": True, "schema": _strict(question.schema)}
            body["response_format"] = {"type": form, "json_schema": schema}
        elif form == "json_object":
            body["response_format"] = {"type": form}
        body |= json.loads(settings.extra) if settings.extra else {}
        # Not chat.completions.create: that walks through every argument in Python, which costs more than all else here.
        return await self._client.post("/chat/completions", cast_to=self._openai.types.chat.ChatCompletion, body=body)

    def _reply(self, completion: Any) -> Reply:
        choices: Any = getattr(completion, "choices", None)
        message = getattr(choices[0], "message", None) if choices else None
        if message is None:
            raise NoAdvice(AdviceStatus.INVALID, "the server's answer has no message")
        finish = getattr(choices[0], "finish_reason", None)
        refusal = getattr(message, "refusal", None)
        if refusal or finish == "content_filter":
            raise NoAdvice(AdviceStatus.REFUSED, self._clean(f"the model declined: {refusal or 'content filter'}"))
        text = message.content if isinstance(message.content, str) else ""
        usage = getattr(completion, "usage", None)
        tokens_in, tokens_out = (_count(usage, f"{name}_tokens") for name in ("prompt", "completion"))
        return Reply(self._without_key(text), finish == "length", tokens_in, tokens_out)

    def _error(self, error: Exception) -> NoAdvice:
        """What a failure of the client means: whether asking again can help, and what a person can do."""
        where, status = self._settings.base_url, getattr(error, "status_code", None)
        message = self._clean(str(getattr(error, "message", error)))
        if isinstance(error, self._openai.APITimeoutError):
            return NoAdvice(AdviceStatus.TIMEOUT, f"{where} did not answer in time")
        if isinstance(error, self._openai.APIConnectionError):
            return NoAdvice(AdviceStatus.UNAVAILABLE, f"{where} cannot be reached; is the server running?", retry=True)
        if status == 429 and getattr(error, "code", None) == "insufficient_quota":
            return NoAdvice(AdviceStatus.BUDGET, f"{where}: the account's quota is spent (429)")
        if status in (408, 409, 425, 429) or (status is not None and status >= 500):
            wait = _retry_after(error)
            return NoAdvice(AdviceStatus.UNAVAILABLE, f"{where} answers {status}: {message}", True, wait)
        if status in (401, 403):
            hint = self._settings.api_key_file or f"${self._settings.api_key_env}"
            return NoAdvice(AdviceStatus.UNAVAILABLE, f"{where} refuses the key ({status}); check {hint}")
        if status == 404:
            return NoAdvice(AdviceStatus.UNAVAILABLE, f"{where} does not know the model {self._settings.model!r} (404)")
        if status is not None:
            return NoAdvice(AdviceStatus.UNAVAILABLE, f"{where} answers {status}: {message}")
        return NoAdvice(AdviceStatus.UNAVAILABLE, f"{where} sends what is no chat completion: {message}", retry=True)

    def _clean(self, text: str) -> str:
        """``text`` on one line, short, and without the key, which some servers repeat."""
        return " ".join(self._without_key(text).split())[:_SHOWN]

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


def _read_key(settings: OpenAIBackend.Settings) -> str:
    if settings.api_key_file:
        try:
            key = Path(settings.api_key_file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise VarlError(f"advisor: openai.api_key_file {settings.api_key_file!r} cannot be read") from None
    else:
        key = os.environ.get(settings.api_key_env, "").strip() if settings.api_key_env else ""
    if not key and settings.base_url == _OFFICIAL:
        raise VarlError(f"advisor: {_OFFICIAL} wants a key; put it into ${settings.api_key_env} or openai.api_key_file")
    if not (key.isascii() and key.isprintable()):
        raise VarlError("advisor: the key for openai is not a line of printable ASCII; check where it is kept")
    return key


def _picture(jpeg: bytes) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"}}


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema`` without the keywords that strict mode does not know; what they ask for is validated here anyway."""
    schema = copy.deepcopy(schema)
    schema["properties"]["reason"].pop("maxLength", None)
    return schema


def _count(usage: Any, name: str) -> int:
    value = getattr(usage, name, 0)
    return value if isinstance(value, int) and value > 0 else 0


def _retry_after(error: Any) -> float:
    """Seconds that the server asks to wait; 0 where it does not say."""
    try:
        return max(0.0, float(error.response.headers.get("retry-after", 0)))
    except (TypeError, ValueError):
        return 0.0
