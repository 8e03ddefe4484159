"""What stands around the answer: thinking, prose, drafts, fences and special tokens that chat templates leave."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from varl_common.advice_status import AdviceStatus
from varl_vlm_advisor.testing.shapes import Shape, said

pytest.importorskip("openai")


def text(source: str, make: Callable[[str], str], *expected: Any, finish: str = "stop") -> Shape:
    """A row: the content that ``make`` makes of the answer."""
    return Shape(source, lambda call, answer: (200, said({"content": make(answer)}, finish)), *expected)


def draft(answer: str) -> str:
    """Another answer that would validate as well."""
    return answer.replace('"-large"', '"+small"')


SHAPES = [
    text("vllm#47027: braces in the thinking", lambda a: f"<think>x in {{a,b}}</think>{a}"),
    text("vllm#47027: JSON in the thinking", lambda a: f'<think>{{"id": 1}}</think>\n{a}'),
    text("a draft in the thinking", lambda a: f"<think>perhaps {draft(a)}</think>{a}"),
    text("prose with braces before and behind", lambda a: f"With x in {{a, b}}: {a} I hope that {{helps}}."),
    text("a draft before the answer", lambda a: f"First idea: {draft(a)}. No, better: {a}"),
    text("llama.cpp#11861: thinking that only ends", lambda a: f"I look at {{it}}. {draft(a)}\n</think>\n\n{a}"),
    text("thinking twice", lambda a: f"<think>{{</think> well <think>{draft(a)}</think>{a}"),
    text("thinking that speaks of its own end", lambda a: f"<think>I close with </think>. {draft(a)}</think>{a}"),
    text("qwen3: thinking that is empty", lambda a: f"<think>\n\n</think>\n\n{a}"),
    text("thinking that never ends, with the answer in it", lambda a: f"<think>so the answer is {a}"),
    text("the answer in the thinking alone", lambda a: f"<think>{a}</think>"),
    text("magistral", lambda a: f"[THINK]{draft(a)}[/THINK]{a}"),
    text("Kimi-VL", lambda a: f"◁think▷{draft(a)}◁/think▷{a}"),
    text("hermes-agent#62680: MiniMax", lambda a: f"<mm:think>{draft(a)}</mm:think>{a}"),
    text("Seed-OSS", lambda a: f"<seed:think>{draft(a)}</seed:think>{a}"),
    text("Gemini's thoughts", lambda a: f"<thought>{draft(a)}</thought>{a}"),
    text("Command A", lambda a: f"<|START_THINKING|>{draft(a)}<|END_THINKING|><|START_RESPONSE|>{a}<|END_RESPONSE|>"),
    text(
        "kekzl/imp#768: gpt-oss's channels",
        lambda a: (
            f"<|channel|>analysis<|message|>{draft(a)}<|end|><|start|>assistant<|channel|>final<|message|>{a}<|return|>"
        ),
    ),
    text("textgen#7374: channels without their marks", lambda a: f"analysisUser wants {{x}}.assistantfinal{a}"),
    text("TensorRT-LLM#9256: commentary", lambda a: f"<|channel|>commentary<|message|>{a}<|end|>"),
    text("Gemma 4's channel", lambda a: f"<|channel>thought\n{draft(a)}<channel|>{a}"),
    text("a code fence", lambda a: f"Sure!\n```json\n{a}\n```\nGood luck."),
    text("GLM-4.5V's box", lambda a: f"<|begin_of_box|>{a}<|end_of_box|>"),
    text("answer tags", lambda a: f"<answer>{a}</answer>"),
    text("special tokens of the template", lambda a: f"<|im_start|>assistant\n{a}<|im_end|><|endoftext|>"),
    text("Phi's end", lambda a: f"{a}<|end|>"),
    text("the schema before the answer", lambda a: f'{{"type": "object", "properties": {{"id": {{}}}}}}\n{a}'),
    text("LaTeX", lambda a: f"\\boxed{{{a}}} since \\frac{{a}}{{b}}"),
    text("a draft with another id", lambda a: f'{a.replace("id", "id", 1)}\n{{"id": 1, "reason": "x"}}'),
    text(
        "cut off in its thinking, after a draft",
        lambda a: f"<think>perhaps {draft(a)} but",
        AdviceStatus.INVALID,
        "while it was thinking",
        (2, 2),
        finish="length",
    ),
    text(
        "vllm#14126: overflow in float16",
        lambda a: "!" * 400,
        AdviceStatus.INVALID,
        "in bfloat16",
        (2, 2),
        finish="length",
    ),
    text("vllm#14126: overflow that ends", lambda a: "!" * 400, AdviceStatus.INVALID, "in bfloat16", (2, 2)),
    text("Python in place of JSON", lambda a: a.replace('"', "'"), AdviceStatus.INVALID, "no JSON object", (2, 2)),
    text("a comma too many", lambda a: a[:-1] + ",}", AdviceStatus.INVALID, "malformed or cut off", (2, 2)),
    text("a field twice", lambda a: f'{a[:-1]}, "dx": "0"}}', AdviceStatus.INVALID, "given twice", (2, 2)),
    text(
        "another question's answer",
        lambda a: f'{a[:-1].replace("because", "x", 1)}, "id": 1}}',
        AdviceStatus.INVALID,
        "twice",
        (2, 2),
    ),
    text("thinking in the reason", lambda a: a.replace("because", "<think>left</think> so")),
    text("thinking that begins in the reason", lambda a: a.replace("because", "<think> hm")),
    text("thinking that ends in the reason", lambda a: a.replace("because", "well </think> so")),
    text("thinking behind the answer", lambda a: f"```json\n{a}\n```\n<think>{draft(a)}</think>"),
    text("thinking closed by another's mark", lambda a: f"<think>{draft(a)}</thinking>{a}"),
    text("the answer in a string of an object", lambda a: json.dumps({"answer": a})),
    text("the answer twice", lambda a: a + a),
    text("a byte order mark and zero-width spaces", lambda a: f"\ufeff\u200b{a}\u200b"),
    text("nested 200 deep", lambda a: '{"r":' * 200 + a + "}" * 200),
    text("a minus of typography", lambda a: a.replace("-large", "\u2212large"), AdviceStatus.INVALID, "dx", (2, 2)),
    text("an id in quotes", lambda a: re.sub(r"(\d{4})", r'"\1"', a), AdviceStatus.INVALID, "id", (2, 2)),
    text("Infinity", lambda a: a.replace('"-large"', "Infinity", 1), AdviceStatus.INVALID, "Infinity", (2, 2)),
    text("a percentage", lambda a: a.replace('"-large"', "100%", 1), AdviceStatus.INVALID, "malformed", (2, 2)),
    text("overflow after a while", lambda a: a[:30] + "!" * 300, AdviceStatus.INVALID, "in bfloat16", (2, 2)),
    text("it is unable", lambda a: "I\u2019m unable to help with robots.", AdviceStatus.REFUSED, "unable"),
    text("it regrets", lambda a: "Unfortunately, I cannot do that.", AdviceStatus.REFUSED, "cannot"),
    text(
        "it declines in thinking and words", lambda a: "<think>hm</think>Sorry, no.", AdviceStatus.REFUSED, "Sorry, no."
    ),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.source)
def test_the_answer_is_read_whatever_stands_around_it(shape: Shape, holds: Callable[[Shape], None]) -> None:
    holds(shape)
