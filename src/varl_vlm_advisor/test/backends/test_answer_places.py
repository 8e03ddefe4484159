# ruff: noqa: E501 (a row a line)
"""Where in a server's message the answer stands. Each row is a public report of such a message, or a relative of one."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from varl_common.advice_status import AdviceStatus
from varl_vlm_advisor.testing.shapes import Shape, said

pytest.importorskip("openai")


def message(source: str, make: Callable[[str], Any], *expected: Any, **choice: Any) -> Shape:
    """A row: the message that ``make`` makes of the answer."""
    return Shape(source, lambda call, answer: (200, said({"role": "assistant", **make(answer)}, **choice)), *expected)


def body(source: str, make: Callable[[str], Any], *expected: Any) -> Shape:
    """A row: the whole body that ``make`` makes of the answer."""
    return Shape(source, lambda call, answer: (200, make(answer)), *expected)


def stream(answer: str, *more: dict[str, Any]) -> str:
    """The answer as server-sent events, a few characters each."""
    deltas = [{"content": answer[i : i + 7]} for i in range(0, len(answer), 7)]
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    end: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in (*chunks, *more, end)]
    return ": OPENROUTER PROCESSING\n\n" + "".join(lines) + "data: [DONE]\n\n"


THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": 'x in {a, b} or {"id": 1}'}]}
MUSED = 'The block is in {left, right}; {"id": 1} would be wrong.'

SHAPES = [
    message("hermes-agent#4748", lambda a: {"content": [THINKING, {"type": "text", "text": a}]}),
    message(
        "req_llm#742", lambda a: {"content": [{"type": "thinking", "thinking": MUSED}, {"type": "text", "text": a}]}
    ),
    message(
        "vercel/ai#17779: an unknown part",
        lambda a: {"content": [{"type": "new", "x": 1}, {"text": a, "type": "text"}]},
    ),
    message(
        "vercel/ai#4821: text in several parts",
        lambda a: {"content": [{"type": "text", "text": p} for p in (a[:9], a[9:])]},
    ),
    message("output_text parts", lambda a: {"content": [{"type": "output_text", "text": a}]}),
    message("parts that are strings", lambda a: {"content": [a]}),
    message("content is the object itself", lambda a: {"content": json.loads(a)}),
    message("content is JSON once more in quotes", lambda a: {"content": json.dumps(a)}),
    message("vllm#16182: reasoning_content, null", lambda a: {"content": None, "reasoning_content": a}),
    message("lmstudio-bug-tracker#1698: reasoning_content, empty", lambda a: {"content": "", "reasoning_content": a}),
    message("ollama#14716: reasoning, empty", lambda a: {"content": "", "reasoning": f"{MUSED} {a}"}),
    message("chunkhound#415: reasoning, null", lambda a: {"content": None, "reasoning": a}),
    message(
        "reasoning_details", lambda a: {"content": None, "reasoning_details": [{"type": "reasoning.text", "text": a}]}
    ),
    message("vllm#48863: blank lines, reasoning", lambda a: {"content": "\n\n", "reasoning": a}),
    message("thinking beside the answer", lambda a: {"content": a, "reasoning_content": a.replace("-large", "+small")}),
    message(
        "tool call in place of a schema (litellm)",
        lambda a: {"content": None, "tool_calls": [{"function": {"name": "json_tool_call", "arguments": a}}]},
        finish="tool_calls",
    ),
    message(
        "tool call with an object as arguments (Ollama)",
        lambda a: {"content": "", "tool_calls": [{"function": {"name": "advice", "arguments": json.loads(a)}}]},
    ),
    message("function_call", lambda a: {"content": None, "function_call": {"name": "advice", "arguments": a}}),
    message("parsed", lambda a: {"content": None, "parsed": json.loads(a)}),
    message("the name of the schema around it", lambda a: {"content": f'{{"advice": {a}}}'}),
    message("vllm#25560: a call in the content", lambda a: {"content": f'{{"name": "advice", "arguments": {a}}}'}),
    message("a list of one", lambda a: {"content": f"[{a}]"}),
    body("choices with text", lambda a: {"choices": [{"text": a, "finish_reason": "stop"}]}),
    body("choices with a delta", lambda a: {"choices": [{"delta": {"content": a}, "finish_reason": "stop"}]}),
    body("blank lines while it works (OpenRouter)", lambda a: "\n \n\n" + json.dumps(said({"content": a}))),
    body("a byte order mark", lambda a: "\ufeff" + json.dumps(said({"content": a}))),
    body("a stream nobody asked for", stream),
    body("a stream that thinks", lambda a: stream(a, {"choices": [{"delta": {"reasoning_content": MUSED}}]})),
    body("a stream with usage and no choices", lambda a: stream(a, {"choices": [], "usage": {"prompt_tokens": 9}})),
    body("no usage", lambda a: {"choices": [{"message": {"content": a}}]}),
    message("finish_reason null", lambda a: {"content": a}, finish=None),
    message("finish_reason length after the answer", lambda a: {"content": a + " I hope"}, finish="length"),
    message("nothing at all", lambda a: {"content": None}, AdviceStatus.INVALID, "it is empty", (2, 2)),
    message(
        "cut off while it thinks (hermes-agent#102849)",
        lambda a: {"content": "", "reasoning_content": f"maybe {a}"},
        AdviceStatus.INVALID,
        "while it was thinking; raise max_tokens",
        (2, 2),
        finish="length",
    ),
    message(
        "declines after it has thought of an answer",
        lambda a: {"content": "I'm sorry, I can't help.", "reasoning_content": a},
        AdviceStatus.REFUSED,
        "I can't help",
    ),
    message(
        "a refusal as a part",
        lambda a: {"content": [{"type": "refusal", "refusal": "No robots."}]},
        AdviceStatus.REFUSED,
        "No robots",
    ),
    message(
        "a filter's end", lambda a: {"content": None}, AdviceStatus.REFUSED, "content_filter", finish="content_filter"
    ),
    body("choices is null", lambda a: {"choices": None, "id": "x"}, AdviceStatus.INVALID, "no choices"),
    body(
        "MiniMax: the reason beside null choices",
        lambda a: {"choices": None, "base_resp": {"status_code": 1027, "status_msg": "output sensitive"}},
        AdviceStatus.INVALID,
        "output sensitive",
    ),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.source)
def test_the_answer_is_read_wherever_it_stands(shape: Shape, holds: Callable[[Shape], None]) -> None:
    holds(shape)
