"""What a chat completion says, wherever a server puts it: in a string, in parts, in thinking, in a tool call."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from varl_common.advice_status import AdviceStatus

from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.backends.response_body import objects_of
from varl_vlm_advisor.backends.server_errors import NO_WORDS, ServerError, words_of
from varl_vlm_advisor.types import NoAdvice

# Parts of reasons to end: servers write "length", "MAX_TOKENS", "FinishReason.MAX_TOKENS", {"type": "length"}.
_CUT_OFF = ("length", "max_tokens", "max_output_tokens", "token_limit")
_FILTERED = ("content_filter", "safety", "recitation", "prohibited_content", "refusal")
_THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
_THINKING_PARTS = ("thinking", "reasoning", "reasoning_content", "reasoning.text", "redacted_thinking", "thought")
_CALLS = ("tool_use", "tool_call", "function_call", "function")
_NO_COUNT = 10**9
"""Tokens: nobody sends as many in a call."""


@dataclass
class _Message:
    """A message's words, sorted by what they are."""

    said: list[str] = field(default_factory=list)
    thought: list[str] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    """Arguments of tool calls: gateways turn a schema into a tool for models that know no schemas."""
    refused: list[str] = field(default_factory=list)
    finish: str = ""

    @property
    def words(self) -> str:
        """What it says or, where it says nothing, calls."""
        said = "".join(self.said)
        return said if said.strip() else "".join(self.called)


def read_completion(body: str) -> Reply:
    """The reply in a response's ``body``: a chat completion, or a stream of its parts whether asked for or not.

    Of several choices it is the first one that says something.

    Raises:
        ServerError: it holds an error, as it may under status 200 (openrouter.ai/docs/api-reference/errors).
        NoAdvice: it holds no choices.
        ValueError: it is no chat completion.
    """
    messages: dict[Any, _Message] = {}
    usage: Any = None
    for chunk in objects_of(body):
        choices = _choices(chunk)
        for holder in (chunk, *choices):
            _check(holder, bool(choices))
        usage = chunk.get("usage") or usage
        for choice in choices:
            _read_choice(choice, messages.setdefault(str(choice.get("index")), _Message()))
    if not messages:
        raise NoAdvice(AdviceStatus.INVALID, f"the server's answer has no choices: {words_of(body)}", answered=True)
    message = next((item for item in messages.values() if item.words.strip()), next(iter(messages.values())))
    said, finish, refusal = message.words, message.finish, "".join(message.refused)
    if not refusal and any(word in finish for word in _FILTERED):
        refusal = f"{finish}: {said}" if said else f"its reply was filtered ({finish})"
    counts = (_count(usage, "prompt_tokens", "input_tokens"), _count(usage, "completion_tokens", "output_tokens"))
    return Reply(said, "".join(message.thought), refusal, any(word in finish for word in _CUT_OFF), *counts)


def _choices(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    """A chunk's choices; one that is no object is what the model said."""
    choices = chunk.get("choices")
    choices = [choices] if isinstance(choices, dict) else _list(choices)
    return [item if isinstance(item, dict) else {"text": item} for item in choices if item]


def _check(holder: dict[str, Any], answers: bool) -> None:
    """Raise ServerError where a chunk or a choice is a failure. Some servers send an empty error with every answer."""
    error = holder.get("error")
    failed = error and (not answers or words_of(json.dumps(error)) != NO_WORDS)
    if not answers:
        code = next((holder[name] for name in ("code", "status", "statusCode") if holder.get(name)), 0)
        kind = str(holder.get("type")).lower()
        failed = failed or holder.get("success") is False or kind.endswith("error")
        failed = failed or bool(re.fullmatch(r"[45]\d\d", str(code)))
    if failed:
        told = {
            name: value for name, value in holder.items() if name not in ("choices", "message", "delta") or not answers
        }
        raise ServerError(0, {}, json.dumps(told))


def _read_choice(choice: dict[str, Any], into: _Message) -> None:
    into.finish = str(choice.get("finish_reason") or into.finish).lower()
    message = choice.get("message") or choice.get("delta") or choice.get("text")
    if not isinstance(message, dict):
        message = {"content": message}
    _read_content(message.get("content"), into)
    for name in _THINKING_FIELDS:
        if message.get(name):
            into.thought.append(_flat(message[name]))
            break  # the same words under a second name
    calls = message.get("tool_calls")
    for call in [*(_list(calls) or [calls]), message.get("function_call")]:
        _read_call(call, into)
    if message.get("parsed"):
        into.called.append(json.dumps(message["parsed"]))
    if message.get("refusal"):
        into.refused.append(_flat(message["refusal"]))


def _read_call(call: Any, into: _Message) -> None:
    """A tool's call: in OpenAI's form around a ``function`` or, flat, that itself; Anthropic's has an ``input``."""
    function = _dict(_dict(call).get("function")) or _dict(call)
    arguments = function.get("arguments") or function.get("input")
    if arguments:
        into.called.append(arguments if isinstance(arguments, str) else json.dumps(arguments))


def _read_content(content: Any, into: _Message) -> None:
    """Content is a string, a list of parts of which some think, or the very object that was asked for."""
    if isinstance(content, str):
        into.said.append(content)
    elif isinstance(content, list):
        for part in content:
            _read_content(part, into)
    elif isinstance(content, dict):
        kind = content.get("type")
        if kind in _THINKING_PARTS:
            into.thought.append(_flat(content))
        elif kind == "refusal":
            into.refused.append(_flat(content))
        elif isinstance(content.get("text"), str | dict):  # {"text": {"value": ...}} of assistants' gateways
            into.said.append(_flat(content["text"]))
        elif kind in _CALLS:
            _read_call(content, into)
        elif isinstance(content.get("json"), dict):
            into.said.append(json.dumps(content["json"]))
        elif kind is None:
            into.said.append(json.dumps(content))


def _flat(value: Any) -> str:
    """All strings in ``value`` but those that name a part's type or sign it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_flat(item) for item in value)
    if isinstance(value, dict):
        passed_over = ("type", "signature", "format", "id", "data")
        return "".join(_flat(item) for name, item in value.items() if name not in passed_over)
    return ""


def _count(usage: Any, *names: str) -> int:
    """A number of tokens, under either of its names; 0 where it is told by none, or is none."""
    counts = (_dict(usage).get(name) for name in names)
    return next((count for count in counts if isinstance(count, int) and 0 < count < _NO_COUNT), 0)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
