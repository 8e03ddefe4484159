"""A response's body as the objects that it holds: one, or a stream of them; gateways wrap them, and wrap them again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_ENVELOPES = ("data", "result", "response", "output", "body")
"""Where gateways put another server's whole answer: One API, Cloudflare, DashScope, Lambda proxies."""
_MOST_ENVELOPES = 3


def objects_of(body: str) -> list[dict[str, Any]]:
    """The JSON objects in ``body``: one, or those of server-sent events, whether a stream was asked for or not.

    Raises:
        ValueError: it is neither.
    """
    body = body.lstrip("\ufeff \r\n\t")
    if body.startswith(("{", "[", '"')) or not re.search(r"^data:", body, re.MULTILINE):
        return [_unwrapped(json.loads(body))]
    return [_unwrapped(item) for item in _events(body)]


def _events(body: str) -> Iterator[Any]:
    """The data of server-sent events (html.spec.whatwg.org, 9.2.6). What is no JSON, as [DONE], is passed over.

    Lines end with CR, LF or both and nothing else: JSON may hold a U+2028, at which str.splitlines would cut.
    """
    for event in body.replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        lines = [line.removeprefix("data:").strip() for line in event.split("\n") if line.startswith("data:")]
        try:
            yield json.loads("\n".join(lines))
        except ValueError:  # not one object over several lines, but one a line
            yield from (json.loads(line) for line in lines if line.startswith(("{", "[{")))


def _unwrapped(value: Any, envelopes: int = _MOST_ENVELOPES) -> dict[str, Any]:
    """The object with the choices in ``value``, else the outermost object."""
    if isinstance(value, str):
        value = json.loads(value)
    if isinstance(value, list) and value:
        value = value[0]  # Gemini's errors come in a list
    if not isinstance(value, dict):
        raise ValueError("it is JSON, but no object")
    if envelopes and "choices" not in value:
        for name in _ENVELOPES:
            try:
                inner = _unwrapped(value.get(name), envelopes - 1)
            except ValueError:
                continue
            if "choices" in inner:
                return inner
    return value
