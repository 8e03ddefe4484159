"""Examples as a model of transformers is trained on them: tokens, pixels and labels."""

from __future__ import annotations

import io
from typing import Any

import torch
from PIL import Image
from torch.nn import functional

from varl_vlm_advisor.question.chat import messages
from varl_vlm_advisor.training.examples import Example

UNSCORED = -100
"""Label of a token that the loss leaves out (torch.nn.CrossEntropyLoss)."""
Row = dict[str, torch.Tensor]
"""One example as tensors with a batch dimension of 1."""


class Encoder:
    """An example as tokens and pixels; the loss counts its answer alone."""

    def __init__(self, processor: Any, end: int) -> None:
        self._processor, self._end = processor, end

    def __call__(self, example: Example) -> Row:
        """The answer is joined to the question as tokens: as text, one token could span both."""
        asked: Row = dict(
            self._processor.apply_chat_template(
                messages(example, _picture), add_generation_prompt=True, tokenize=True, return_dict=True,
                return_tensors="pt",
            )
        )  # fmt: skip
        tokens = self._processor.tokenizer(example.answer, add_special_tokens=False)["input_ids"]
        said = torch.tensor([[*tokens, self._end]])
        scored = said.clone()
        scored[:, : self._forced(example.answer)] = UNSCORED
        words = asked["input_ids"].shape
        asked["labels"] = torch.full(words, UNSCORED)
        ends = {"input_ids": said, "attention_mask": torch.ones_like(said), "labels": scored}
        for name, values in asked.items():
            if values.shape == words:  # a value for each token
                asked[name] = torch.cat([values, ends.get(name, torch.zeros_like(said))], dim=1)
        return asked

    def _forced(self, answer: str) -> int:
        """Tokens with which ``answer`` begins that the schema says already: the number of the question."""
        begins = answer[: answer.find(",")] if answer.startswith('{"id"') else ""
        return len(self._processor.tokenizer(begins, add_special_tokens=False)["input_ids"])


class Collator:
    """A batch of rows, filled up to the longest."""

    def __init__(self, padding: int, answers_alone: bool = False) -> None:
        """``answers_alone``: fill up in front, and have logits of the last words only, as an Idefics3 can; a question
        is several times longer than its answer."""
        self._fill = {"input_ids": padding, "labels": UNSCORED}
        self._answers_alone = answers_alone

    def __call__(self, rows: list[Row]) -> dict[str, Any]:
        longest = max(row["input_ids"].shape[1] for row in rows)
        columns: dict[str, list[torch.Tensor]] = {}
        for row in rows:
            words = row["input_ids"].shape
            for name, values in row.items():
                if values.shape == words:
                    gap = longest - words[1]
                    sides = (gap, 0) if self._answers_alone else (0, gap)
                    values = functional.pad(values, sides, value=self._fill.get(name, 0))
                columns.setdefault(name, []).append(values)
        batch: dict[str, Any] = {name: torch.cat(values) for name, values in columns.items()}
        if self._answers_alone:
            last = int((batch["labels"] != UNSCORED).sum(dim=1).max()) + 1
            batch |= {"labels": batch["labels"][:, -last:], "logits_to_keep": last}
        return batch


def _picture(jpeg: bytes) -> dict[str, Any]:
    return {"type": "image", "image": Image.open(io.BytesIO(jpeg)).convert("RGB")}
