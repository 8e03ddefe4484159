"""Generation held to a JSON schema: llguidance says which tokens may come next, and the others' logits become -inf."""

from __future__ import annotations

from typing import Any

import llguidance.hf
import llguidance.numpy
import torch
from llguidance import LLMatcher
from varl_common.advice_status import AdviceStatus

from varl_vlm_advisor.types import NoAdvice

# One way to write each answer: a model that may choose between spaces and line breaks can wander off in them.
_COMPACT: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Constraint:
    """What llguidance must know of a tokenizer; made once per model.

    Attributes:
        ends: ids of the tokens that end an answer.
    """

    def __init__(self, tokenizer: Any, model: Any) -> None:
        ends = model.generation_config.eos_token_id
        ends = [tokenizer.eos_token_id] if ends is None else ends
        self.ends: set[int] = set(ends) if isinstance(ends, list) else {ends}
        self._size = model.get_input_embeddings().weight.shape[0]
        # The embedding may be padded past the tokenizer; a mask of its own size covers the rest too.
        self._tokenizer = llguidance.hf.from_tokenizer(
            tokenizer, n_vocab=max(self._size, len(tokenizer)), eos_token=sorted(self.ends)
        )

    def processor(self, schema: str, prompt: int) -> SchemaProcessor:
        """A logits processor for one generation whose prompt has ``prompt`` tokens; ``schema`` is JSON."""
        grammar = LLMatcher.grammar_from_json_schema(schema, overrides=_COMPACT)
        return SchemaProcessor(LLMatcher(self._tokenizer, grammar), prompt, self._tokenizer.vocab_size, self.ends)


class SchemaProcessor:
    """A ``LogitsProcessor`` for a batch of one."""

    def __init__(self, matcher: Any, prompt: int, size: int, ends: set[int]) -> None:
        self._matcher = matcher
        self._seen = prompt
        self._mask = llguidance.numpy.allocate_token_bitmask(1, size)
        self._ends = sorted(ends)

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores, shape (1, vocabulary), with -inf where the schema forbids a token."""
        tokens = ids[0, self._seen :].tolist()
        self._seen += len(tokens)
        if tokens and not self._matcher.is_stopped():
            self._matcher.consume_tokens(tokens)
        if self._matcher.is_error():
            raise ValueError(self._matcher.get_error())
        allowed = torch.zeros(scores.shape[-1], dtype=torch.bool, device=scores.device)
        if self._matcher.is_stopped():
            allowed[self._ends] = True
        else:
            llguidance.numpy.fill_next_token_bitmask(self._matcher, self._mask)
            bits = torch.from_numpy(self._mask.view("uint8")[0])
            spread = (bits[:, None] >> torch.arange(8, dtype=torch.uint8)) & 1
            spread = spread.reshape(-1)[: scores.shape[-1]].bool()
            allowed[: spread.shape[0]] = spread.to(scores.device)
        held = scores.masked_fill(~allowed, float("-inf"))
        if torch.isnan(scores).any() or not torch.isfinite(held.max()):  # infinite, or all that may come next is not
            remedy = "weights that overflow in half precision do that; set transformers.dtype to bfloat16 or float32"
            raise NoAdvice(AdviceStatus.UNAVAILABLE, f"the model's logits are not finite: {remedy}")
        return held
