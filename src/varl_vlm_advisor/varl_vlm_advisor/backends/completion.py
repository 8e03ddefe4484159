"""What a chat completion says, wherever a server puts it: in a string, in parts, in thinking, in a tool call."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from varl_common.advice_status import AdviceStatus

from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.backends.server_errors import ServerError, words_of
from varl_vlm_advisor.types import NoAdvice

_CUT_OFF = ("length", "max_tokens", "model_length")
_FILTERED = ("content_filter", "safety", "recitation", "prohibited_content", "refusal")
_THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
_THINKING_PARTS = ("thinking", "reasoning", "reasoning_content", "reasoning.text", "redacted_thinking", "thought")


@dataclass
class _Message:
    """A message's words, sorted by what they are."""

    said: list[str] = field(default_factory=list)
    thought: list[str] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    """Arguments of tool calls: gateways turn a schema into a tool for models that know no schemas."""
    refused: list[str] = field(default_factory=list)


def read_completion(body: str) -> Reply:
    """The reply in a response's ``body``: a chat completion, or a stream of its parts whether asked for or not.

    Raises:
        ServerError: it holds an error, as it may under status 200 (openrouter.ai/docs/api-reference/errors).
        NoAdvice: it holds no choices.
        ValueError: it is no chat completion.
    """
    chunks = _chunks(body)
    message, finish, answered = _Message(), "", False
    usage: Any = None
    for chunk in chunks:
        chunk = chunk[0] if isinstance(chunk, list) and chunk else chunk  # Gemini's errors come in a list
        if not isinstance(chunk, dict):
            raise ValueError("it is JSON, but no object")
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else {}
        error = chunk.get("error") or choice.get("error")
        if error:
            raise ServerError(0, {}, json.dumps({"error": error}))
        answered |= bool(choice)
        finish = str(choice.get("finish_reason") or finish).lower()
        usage = chunk.get("usage") or usage
        _read_message(choice.get("message") or choice.get("delta") or {"content": choice.get("text")}, message)
    if not answered:
        raise NoAdvice(AdviceStatus.INVALID, f"the server's answer has no choices: {words_of(body)}")
    said = "".join(message.said)
    if not said.strip():
        said = "".join(message.called)
    refusal = "".join(message.refused)
    if not refusal and finish.startswith(_FILTERED):
        refusal = f"{finish}: {said}" if said else f"its reply was filtered ({finish})"
    counts = (_count(usage, "prompt_tokens"), _count(usage, "completion_tokens"))
    return Reply(said, "".join(message.thought), refusal, finish in _CUT_OFF, *counts)


def _chunks(body: str) -> list[Any]:
    """The body as one object, or a stream of server-sent events as its objects, with tool calls' and texts' parts."""
    body = body.lstrip("\ufeff \r\n\t")
    lines = body.splitlines()
    if not body.startswith(("data:", "event:", ":")):
        return [json.loads(body)]
    data = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    return [json.loads(item) for item in data if item and item != "[DONE]"]


def _read_message(message: Any, into: _Message) -> None:
    if not isinstance(message, dict):
        return
    _read_content(message.get("content"), into)
    for name in _THINKING_FIELDS:
        if message.get(name):
            into.thought.append(_flat(message[name]))
            break  # the same words under a second name
    for call in [*(message.get("tool_calls") or []), {"function": message.get("function_call")}]:
        arguments = ((call or {}).get("function") or {}).get("arguments")
        if arguments:
            into.called.append(arguments if isinstance(arguments, str) else json.dumps(arguments))
    if message.get("parsed"):
        into.called.append(json.dumps(message["parsed"]))
    if message.get("refusal"):
        into.refused.append(str(message["refusal"]))


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


def _count(usage: Any, name: str) -> int:
    value = usage.get(name, 0) if isinstance(usage, dict) else 0
    return value if isinstance(value, int) and value > 0 else 0
