"""Where in a model's words the answer stands: JSON objects among thinking, prose, code fences and special tokens."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

# How models mark their thinking, by what begins and what ends it. An end without a beginning counts too: chat templates
# write the beginning into the prompt (ggml-org/llama.cpp#11861).
_THINKING = (
    ("<think>", "</think>"),  # Qwen3, DeepSeek-R1, QwQ
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),  # Gemini's compatibility layer
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("<mm:think>", "</mm:think>"),  # MiniMax
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi-VL
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    ("<|channel|>analysis<|message|>", "<|end|>"),  # gpt-oss
    ("<|channel>thought", "<channel|>"),  # Gemma 4
)
_OPENING = re.compile("|".join(re.escape(opening) for opening, _ in _THINKING))
_CLOSING = dict(_THINKING)
_ALSO_ENDS_ANSWERS = ("<|end|>", "<channel|>")


_TRIED = 300
"""Opening braces, from the end, at which an object is looked for. A plan of 8 phases has 9."""


class Unusable(Exception):
    """JSON that Python would read, but which means nothing definite."""


def split_thinking(text: str) -> tuple[str, str]:
    """``text`` without the thinking that is marked in it, and that thinking.

    One JSON object from end to end holds none: a model that is held to a schema can only think within its strings.
    """
    with contextlib.suppress(ValueError, RecursionError):
        if text.lstrip().startswith("{") and isinstance(json.loads(text), dict):
            return text, ""
    said, thinking = "", ""
    while (opening := _OPENING.search(text)) is not None:
        said += text[: opening.start()]
        thought, closed, text = text[opening.end() :].partition(_CLOSING[opening[0]])
        thinking += thought
        if not closed:
            text = ""
    said += text
    ends = [said.rfind(tag) + len(tag) for tag in _CLOSING.values() if tag in said and tag not in _ALSO_ENDS_ANSWERS]
    end = max(ends, default=0)
    return said[end:], said[:end] + thinking


def objects(text: str) -> Iterator[dict[str, Any] | Unusable]:
    """Every JSON object in ``text``, at whatever depth, the last one first: models come to their answer at the end.

    One that is written as a JSON string is found too, as the arguments of a call are. RecursionError is an ``Unusable``
    that ends the search.
    """
    if text.lstrip().startswith('"'):  # the whole answer once more in quotes
        with contextlib.suppress(ValueError):
            text = str(json.loads(text.strip()))
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_not_a_number)
    start = len(text)
    for _ in range(_TRIED):
        start = text.rfind("{", 0, start)
        if start < 0:
            return
        try:
            found, _ = decoder.raw_decode(text, start)
        except Unusable as error:
            yield error
        except RecursionError:
            yield Unusable("it is nested too deeply")
            return
        except ValueError:
            continue
        else:
            assert isinstance(found, dict)
            yield found
            yield from filter(None, (_quoted(value, decoder) for value in found.values()))


def _quoted(value: Any, decoder: json.JSONDecoder) -> dict[str, Any] | None:
    """The object that a string is, from end to end."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return None
    with contextlib.suppress(ValueError, Unusable, RecursionError):
        found = decoder.decode(value)
        return found if isinstance(found, dict) else None
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unusable("a field is given twice")
    return found


def _not_a_number(name: str) -> float:
    raise Unusable(f"{name} is not a number that JSON knows")
