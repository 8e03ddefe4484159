"""Teach a small model whose tower can point to say what it sees.

Left alone, a language model that knows nothing says the average answer for thousands of steps before it finds that
pictures are worth a look. So it is told where to look: when it is about to say a place, one of its heads of attention
is to be on the tokens that show that place. The tower is not trained further, and looks at each picture once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from varl_vlm_advisor.training.encoding import UNSCORED, Collator, Encoder
from varl_vlm_advisor.training.examples import Example
from varl_vlm_advisor.training.pointing_head import shares
from varl_vlm_advisor.training.settings import Settings, half_is_fast
from varl_vlm_advisor.training.small_model import WHOLE
from varl_vlm_advisor.training.stage import Stage
from varl_vlm_advisor.training.tower import seen

_LOOKING = 1
"""Layer that looks; the one before it can tell what is about to be said."""
_LOOK = 0.5
"""Weight of where it looks."""
_NEARLY = 6.0
"""Coordinates, of WHOLE, by which what is said may be off and is half right: each is a word of its own, and were all
others equally wrong, it would learn little from an answer that is."""
_RATE, _DECAY = 1.5e-3, 0.01
_FALLING = 0.4
"""Share of the steps, the last, in which the rate falls to nothing."""
_LEAST_SURE = 10
"""Coordinates below it are said by a token that may as well be a digit of another number."""
_SIZE, _LEAST = 0.1, 1e-4
"""Of what the connector tells: how large each direction is to be, and the share of the largest below which one counts
for less."""
_AT_ONCE = 64
"""Pictures that the tower looks at together."""


@dataclass(frozen=True)
class _Row:
    """An example as tensors (with a batch dimension of 1), and what its answer points at."""

    tensors: dict[str, torch.Tensor]
    """Without the pixels."""
    seen: torch.Tensor
    """(1, tokens, width): what the language model gets of the picture."""
    spoken: list[tuple[int, tuple[float, float]]]
    """How many tokens before the end a coordinate is said, and of which place, x and y in 0..1."""


def teach_to_speak(
    model: Any,
    processor: Any,
    examples: Sequence[Example],
    settings: Settings,
    kept: Path,
    until: int | None = None,
) -> None:
    """Train the language model of ``model`` for ``settings.steps``.

    ``kept``: file that it goes on from, if it was ended before. ``until``: step to end at, for a break.
    """
    torch.manual_seed(settings.seed)
    model.requires_grad_(False)
    learned = nn.ModuleDict({"words": model.model.text_model, "head": model.lm_head})
    learned.requires_grad_(True)
    stage = Stage(kept, learned, settings.steps, _RATE, _DECAY, _FALLING, settings.kept_every)
    rows = _looked_at(model, processor, examples)
    collate = Collator(processor.tokenizer.pad_token_id, answers_alone=True)
    words = _coordinates(processor)
    model.set_attn_implementation({"text_config": "eager"})  # which alone tells where it looks
    attention: list[torch.Tensor] = []
    looking = model.model.text_model.layers[_LOOKING].self_attn
    hook = looking.register_forward_hook(lambda module, given, told: attention.append(told[1]))

    def loss_of(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        rng = np.random.default_rng([settings.seed, step])
        some = [rows[index] for index in rng.integers(0, len(rows), settings.batch)]
        batch = collate([row.tensors for row in some])
        told = BaseModelOutputWithPooling(pooler_output=torch.cat([row.seen for row in some]))
        attention.clear()
        with torch.autocast("cpu", torch.bfloat16, enabled=half_is_fast("cpu")):
            labels = batch.pop("labels")
            logits = model(**batch, mm_encoder_outputs={"image": told}).logits
        said = _said(logits, labels, words)
        looked = _look(attention[0], batch["input_ids"] == model.config.image_token_id, some)
        return said + _LOOK * looked, {"words": float(said.detach()), "look": float(looked.detach())}

    try:
        stage.run(loss_of, until)
    finally:
        hook.remove()


def _said(logits: torch.Tensor, labels: torch.Tensor, coordinates: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of ``logits`` (n, words, vocabulary) and the words that follow, of which ``labels`` (n, words)
    tells; right to a degree is what is near a coordinate, by its token in ``coordinates`` (WHOLE + 1,)."""
    follows = labels[:, 1:]
    scored = follows != UNSCORED
    told, right = logits[:, :-1][scored].float().log_softmax(-1), follows[scored]
    number = torch.full((told.shape[1],), -1).index_copy_(0, coordinates, torch.arange(WHOLE + 1))[right]
    placed = number >= _LEAST_SURE
    apart = torch.arange(WHOLE + 1) - number[placed, None]
    share = torch.softmax(-0.5 * (apart / _NEARLY) ** 2, dim=1)
    near = -(share * told[placed][:, coordinates]).sum()
    others = -told[~placed].gather(1, right[~placed, None]).sum()
    return (near + others) / len(right)


def _coordinates(processor: Any) -> torch.Tensor:
    """(WHOLE + 1,): the token of each coordinate."""
    return torch.tensor(processor.tokenizer.convert_tokens_to_ids([str(n) for n in range(WHOLE + 1)]))


def _look(attention: torch.Tensor, shown: torch.Tensor, rows: Sequence[_Row]) -> torch.Tensor:
    """How far the first head of ``attention`` (n, heads, words, words) is from what is spoken of, where it is shown."""
    told, right = [], []
    for weights, tokens, row in zip(attention[:, 0].float(), shown, rows, strict=True):
        for back, place in row.spoken:
            told.append(weights[-back - 1][tokens])  # the word before says it
            right.append(place)
    if not told:
        return attention.sum() * 0.0
    heat = torch.stack(told)
    return -(shares(torch.tensor(right)[:, None], heat.shape[1])[..., 0] * (heat + 1e-5).log()).sum(dim=1).mean()


def _looked_at(model: Any, processor: Any, examples: Sequence[Example]) -> list[_Row]:
    encode = Encoder(processor, processor.tokenizer.eos_token_id)
    coordinates = {token: n / WHOLE for n, token in enumerate(_coordinates(processor).tolist())}
    comma = processor.tokenizer.convert_tokens_to_ids(processor.tokenizer.tokenize(", "))[0]
    rows: list[dict[str, torch.Tensor]] = []
    told: list[torch.Tensor] = []
    for begin in range(0, len(examples), _AT_ONCE):
        some = [encode(example) for example in examples[begin : begin + _AT_ONCE]]
        pixels = torch.cat([row.pop("pixel_values")[0] for row in some])
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half_is_fast("cpu")):
            _, tokens = seen(model, pixels)
        told.append(tokens.half())
        for row in some:
            row.pop("pixel_attention_mask")
        rows += some
    level = _level(model, torch.cat(told))
    return [
        _Row(row, tokens[None], _spoken(row["labels"][0].tolist(), coordinates, comma))
        for row, tokens in zip(rows, level, strict=True)
    ]


def _level(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Change the connector so that all that it tells apart in pictures is alike in size, and as large as words are.

    ``tokens`` (n, tokens, width) is what it tells before; returned is what it tells from now on. What all pictures have
    in common is many times as large as what differs, and a language model would have to learn to look past it.
    """
    flat = tokens.float().flatten(0, 1)
    middle = flat.mean(dim=0)
    common = middle / middle.norm()
    apart = torch.eye(len(middle)) - torch.outer(common, common)
    spread, axes = torch.linalg.eigh(apart @ (flat.T @ flat / len(flat)) @ apart)
    level = _SIZE * apart @ axes @ torch.diag((spread.clamp_min(0) + _LEAST * spread.max()).rsqrt()) @ axes.T
    projection = model.model.connector.modality_projection.proj.weight
    with torch.no_grad():
        projection.copy_(level.T @ projection)
    return (tokens.float() @ level).half()


def _spoken(labels: list[int], coordinates: dict[int, float], comma: int) -> list[tuple[int, tuple[float, float]]]:
    """Where the answer says "x, y", and what."""
    spoken = []
    for first, (x, between, y) in enumerate(zip(labels, labels[1:], labels[2:], strict=False)):
        if (
            between == comma
            and x in coordinates
            and y in coordinates
            and (coordinates[x], coordinates[y]) != (0.0, 0.0)
        ):
            place = coordinates[x], coordinates[y]
            spoken += [(len(labels) - first, place), (len(labels) - first - 2, place)]
    return spoken
