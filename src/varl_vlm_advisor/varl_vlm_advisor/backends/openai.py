"""The backend ``openai``: the official client against any OpenAI-compatible server, own or rented."""

from __future__ import annotations

import base64
import copy
import json
import logging
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from pydantic import Field, field_validator
from varl_common.advice_status import AdviceStatus
from varl_common.config import Config
from varl_common.errors import VarlError

from varl_vlm_advisor.backends import AskAgain, Reply
from varl_vlm_advisor.backends.api_key import hide, is_openai, key_place, read_key
from varl_vlm_advisor.backends.completion import read_completion
from varl_vlm_advisor.backends.request_form import RequestForm
from varl_vlm_advisor.backends.server_errors import ServerError, words_of
from varl_vlm_advisor.question.chat import messages
from varl_vlm_advisor.question.question import CHARACTERS_PER_TOKEN, Question
from varl_vlm_advisor.types import NoAdvice

log = logging.getLogger(__name__)

_OPENAI = "https://api.openai.com/v1"
_ENDPOINT = "/chat/completions"
_UNREACHED = ("ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol")
"""httpx's errors from before a question was sent."""
_WITHOUT_KEY = "none"
"""What servers without keys are sent: the client insists on one."""


class OpenAIBackend:
    """One request per call. Retries and deadlines are the caller's, so the client's own are off.

    What a server refuses of the form of a request (a schema, a parameter, the system's role) is asked for differently
    from then on, which is said once.
    """

    class Settings(Config):
        """Section ``openai``."""

        base_url: str = Field(default=_OPENAI, description="of the server's API, up to and with /v1")
        model: str = Field(default="", description="name that the server knows the model by")
        api_key_env: str = Field(
            default="", description="environment variable with the key; empty: OPENAI_API_KEY at OpenAI's own address"
        )
        api_key_file: str = Field(default="", description="file with the key; goes before the environment")
        max_tokens: int = Field(default=2000, ge=16, le=32768, description="tokens of an answer, at most")
        temperature: float = Field(default=0.7, ge=-1.0, le=2.0, description="-1 leaves it to the server")
        extra: str = Field(default="", description="JSON object to add to the request's body")

        @field_validator("base_url")
        @classmethod
        def _url(cls, url: str) -> str:
            try:
                parts = urlsplit(url)
                sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
            except ValueError:  # a port that is none
                sound = False
            if not sound:
                raise ValueError("expected a URL such as http://localhost:8000/v1")
            return url.rstrip("/").removesuffix(_ENDPOINT).rstrip("/")

        @field_validator("temperature")
        @classmethod
        def _left_or_set(cls, temperature: float) -> float:
            if -1.0 < temperature < 0.0:
                raise ValueError("expected 0 or more, or -1, which leaves it to the server")
            return temperature

        @field_validator("extra")
        @classmethod
        def _object(cls, extra: str) -> str:
            try:
                if extra and not isinstance(found := json.loads(extra), dict):
                    raise ValueError
                if extra:
                    json.dumps(
                        found, allow_nan=False
                    )  # Python's own reader takes NaN and Infinity, which no server does
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
        self._key = read_key(settings.base_url, settings.api_key_env, settings.api_key_file)
        official = is_openai(settings.base_url)
        # The client reads these from the environment; like the key, they are nobody else's business.
        private: Any = {} if official else {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
        # Made before anything is asked: the certificates take a tenth of a second.
        self._client = openai.AsyncOpenAI(
            base_url=settings.base_url,
            api_key=self._key or _WITHOUT_KEY,
            max_retries=0,
            default_headers=private,
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),  # each request is the budget's
        )
        self._endpoint = _ENDPOINT
        self._form = RequestForm()
        if official:
            self._form = RequestForm(limit=("max_completion_tokens", "max_tokens", ""))
        if settings.temperature < 0:
            self._form = self._form.without("temperature") or self._form
        self._before_guess: RequestForm | None = None
        self._may_guess = True
        self.label = f"openai ({settings.model})"
        self.identity = settings.model_dump_json(exclude={"api_key_env", "api_key_file"})

    @property
    def response_format(self) -> str:
        """How the form of an answer is asked for now."""
        return self._form.response_format[0]

    async def reply(self, question: Question, sample: int) -> Reply:
        """Ask once.

        Raises:
            NoAdvice: there is no reply, with the server's own reason.
            AskAgain: the server refused the form of the request, which has been changed.
        """
        form, endpoint, where = self._form, self._endpoint, self._settings.base_url
        try:
            body = await self._client.post(endpoint, cast_to=str, body=self._body(question, form))
            reply = read_completion(body)
        except self._openai.APITimeoutError:
            raise NoAdvice(AdviceStatus.TIMEOUT, f"{where} did not answer in time", answered=True) from None
        except self._openai.APIStatusError as error:
            response = error.response
            if "location" in response.headers:
                raise self._moved(endpoint, response.status_code, response.headers["location"]) from None
            refusal = ServerError(response.status_code, response.headers, response.text)
            raise self._refused(form, refusal) from None
        except ServerError as error:
            raise self._refused(form, error) from None
        except self._openai.APIConnectionError as error:
            cause, unreached = words_of(str(error.__cause__ or error)), type(error.__cause__).__name__ in _UNREACHED
            problem = f"{where} cannot be reached ({cause}); is the server running?"
            if not unreached:
                problem = f"{where} broke off its answer ({cause})"
            raise NoAdvice(AdviceStatus.UNAVAILABLE, problem, retry=True, answered=not unreached) from None
        except (self._openai.OpenAIError, ValueError, RecursionError):
            problem = f"{where} sends what is no chat completion: {words_of(body) if body.strip() else 'nothing'}"
            raise NoAdvice(AdviceStatus.UNAVAILABLE, self._without_key(problem), retry=True, answered=True) from None
        self._before_guess = None  # this form is taken
        said = len(reply.text) + len(reply.thinking)
        return replace(  # where the server does not count, the budget does
            reply,
            tokens_in=reply.tokens_in or question.estimated_tokens,
            tokens_out=reply.tokens_out or said // CHARACTERS_PER_TOKEN,
            secret=self._key,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _body(self, question: Question, form: RequestForm) -> dict[str, Any]:
        settings = self._settings
        chat = messages(question, partial(_picture, form.picture[0]), plain=True, system=form.system[0])
        body: dict[str, Any] = {"model": settings.model, "messages": chat}
        if form.limit[0]:
            body[form.limit[0]] = settings.max_tokens
        if form.temperature[0]:
            body["temperature"] = settings.temperature
        if form.stream[0]:
            body["stream"] = True
        if form.response_format[0] == "json_schema":
            schema = {"name": "advice", "strict": True, "schema": _strict(question.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif form.response_format[0] == "json_object":
            body["response_format"] = {"type": "json_object"}
        return body | (json.loads(settings.extra) if settings.extra else {})

    def _refused(self, form: RequestForm, error: ServerError) -> NoAdvice | AskAgain:
        """Change the form by what the server refuses of it, else say what its refusal means for the question."""
        settings, refused = self._settings, error.status in (400, 404, 415, 422) or error.status >= 500
        final = error.no_advice(
            settings.base_url, settings.model, key_place(settings.base_url, settings.api_key_env, settings.api_key_file)
        )
        final.reason = self._without_key(final.reason)
        if not refused or error.refuses_pictures or final.status != AdviceStatus.UNAVAILABLE:
            return final
        if form != self._form:  # another question has changed it meanwhile
            return AskAgain()
        changed = form.adapted(error.told)
        if changed is None and error.status in (400, 422) and self._may_guess:
            self._before_guess = self._before_guess or form
            changed = form.guessed(error.told)
        if changed is None:
            if self._before_guess is not None:  # it was something else
                self._form, self._before_guess, self._may_guess = self._before_guess, None, False
            return final
        self._form = changed
        log.warning("%s (from now on asked with %s)", final.reason, changed.changes[-1])
        return AskAgain()

    def _moved(self, endpoint: str, status: int, location: str) -> NoAdvice | AskAgain:
        """Ask at the ``location`` from now on, where it is another path of the same host; it takes the key along."""
        settings = self._settings
        if endpoint != self._endpoint:  # another question has found it meanwhile
            return AskAgain()
        before, after = urlsplit(settings.base_url), urlsplit(urljoin(settings.base_url + _ENDPOINT, location))
        there = f"{after.scheme}://{after.netloc}{after.path}"  # a query may hold a secret
        said = f"{settings.base_url} answers {status}: it has moved to {there}"
        upgraded = after.scheme in (before.scheme, "https")
        if endpoint != _ENDPOINT or after.hostname != before.hostname or not upgraded or _ENDPOINT not in after.path:
            return NoAdvice(AdviceStatus.UNAVAILABLE, f"{said}; set openai.base_url to the API's own address")
        self._endpoint = there
        log.warning("%s (from now on asked there)", said)
        return AskAgain()

    def _without_key(self, text: str) -> str:
        return hide(text, self._key)


def _picture(way: str, jpeg: bytes) -> dict[str, Any]:
    url = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    return {"type": "image_url", "image_url": {"url": url} if way == "object" else url}


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema`` without the keywords that strict mode does not know; what they ask for is validated here anyway."""
    schema = copy.deepcopy(schema)
    schema["properties"]["reason"].pop("maxLength", None)
    return schema
