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


def events(*chunks: dict[str, Any]) -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def delta(index: int, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta}]}


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


# Relatives of those above: other gateways' forms, and fields that hold what nobody expects there.
RELATIVES = [
    message("tool_use part (Anthropic)", lambda a: {"content": [{"type": "tool_use", "name": "advice", "input": json.loads(a)}]}),
    message("a part of type json", lambda a: {"content": [{"type": "output_json", "json": json.loads(a)}]}),
    message("tool_calls is one call", lambda a: {"content": None, "tool_calls": {"function": {"name": "advice", "arguments": a}}}),
    message("tool_calls is a word", lambda a: {"content": a, "tool_calls": "none"}),
    message("tool_calls of null", lambda a: {"content": a, "tool_calls": [None]}),
    message("a call's function is its name", lambda a: {"content": a, "tool_calls": [{"function": "advice"}]}),
    message("function_call is a word", lambda a: {"content": a, "function_call": "none"}),
    message("a flat call", lambda a: {"content": "", "tool_calls": [{"name": "advice", "arguments": json.loads(a)}]}),
    message("a call in the content, its arguments in quotes", lambda a: {"content": f"<tool_call>{json.dumps({'name': 'advice', 'arguments': a})}</tool_call>"}),
    message("the parts once more in quotes", lambda a: {"content": json.dumps([{"type": "text", "text": a}])}),
    body("choices is one choice", lambda a: {"choices": {"message": {"content": a}}}),
    body("choices of strings", lambda a: {"choices": [a]}),
    body("choices of null", lambda a: {"choices": [None]}, AdviceStatus.INVALID, "no choices"),
    body("the message is a string", lambda a: {"choices": [{"message": a}]}),
    body("the first of two choices is empty", lambda a: {"choices": [{"index": 0, "message": {"content": ""}}, {"index": 1, "message": {"content": a}}]}),
    body("usage that no number holds", lambda a: {"choices": [{"message": {"content": a}}], "usage": {"prompt_tokens": 10**400, "completion_tokens": 1}}),
    body("the body once more in quotes", lambda a: json.dumps(json.dumps(said({"content": a})))),
    body("a Lambda proxy's envelope", lambda a: {"statusCode": 200, "body": json.dumps(said({"content": a}))}),
    body("an envelope with code and data", lambda a: {"code": 0, "msg": "ok", "data": said({"content": a})}),
    body("Cloudflare's envelope", lambda a: {"success": True, "errors": [], "result": said({"content": a})}),
    body("DashScope's own form", lambda a: {"output": {"choices": [{"message": {"content": [{"text": a}]}}]}, "usage": {}}),
    body("One API: an empty error with the answer", lambda a: {**said({"content": a}), "error": {"message": "", "type": "", "code": None}}),
    body("a stream of two choices", lambda a: events(delta(0, content=a[:20]), delta(1, content=a[:9]), delta(0, content=a[20:]), delta(1, content="x"))),
    body("a stream with a line separator in a string", lambda a: f"data: {json.dumps(said({'content': a.replace('because', chr(0x2028))}), ensure_ascii=False)}\n\n"),
    body("a stream that begins with an id", lambda a: "id: 1\nevent: message\n" + events(said({"content": a}))),
    body("a stream whose lines end with CR LF", lambda a: stream(a).replace("\n", "\r\n")),
    body("an event of several lines", lambda a: "data: " + json.dumps(said({"content": a}), indent=1).replace("\n", "\ndata: ") + "\n\n"),
    body("a stream with pings", lambda a: "data: ping\n\n" + stream(a)),
    body("Perplexity's stream repeats itself", lambda a: events(*({"choices": [{"delta": {"content": a[i : i + 9]}, "message": {"content": a[: i + 9]}}]} for i in range(0, len(a), 9)))),
    body("a stream that breaks off in an event", lambda a: stream(a)[:-260], AdviceStatus.UNAVAILABLE, "no chat completion", (3, 3)),
    body("two bodies", lambda a: 2 * json.dumps(said({"content": a})), AdviceStatus.UNAVAILABLE, "no chat completion", (3, 3)),
    body("another API's form", lambda a: {"message": {"content": a}, "done": True}, AdviceStatus.INVALID, "no choices"),
    body("a body nested too deeply", lambda a: '{"a":' * 100_000, AdviceStatus.UNAVAILABLE, "no chat completion", (3, 3)),
    message("refusal is an object", lambda a: {"content": None, "refusal": {"reason": "No robots."}}, AdviceStatus.REFUSED, "No robots"),
    message("SGLang: finish_reason is an object", lambda a: {"content": a[:-5]}, AdviceStatus.INVALID, "token limit", (2, 2), finish={"type": "length", "length": 9}),
    message("finish_reason as Python names it", lambda a: {"content": a[:-5]}, AdviceStatus.INVALID, "token limit", (2, 2), finish="FinishReason.MAX_TOKENS"),
    message("a filter as Python names it", lambda a: {"content": None}, AdviceStatus.REFUSED, "safety", finish="FinishReason.SAFETY"),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES + RELATIVES, ids=lambda shape: shape.source)
def test_the_answer_is_read_wherever_it_stands(shape: Shape, holds: Callable[[Shape], None]) -> None:
    holds(shape)
