"""Teach a vision tower to point before it is taught to speak: where in the picture is each thing?

A language model that is to say where a thing is learns slowly from a tower that knows nothing. The tower alone learns
it fast: its tokens say which of them shows a thing (a softmax over the picture), and what is found there must tell the
digits of its place, which is what the language model has to say later on. The head that does this is thrown away.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn import functional

from varl_vlm_advisor.training.examples import Example

THINGS = ("tool", "block", "target")
_BATCH = 64
_RATE, _DECAY = 2e-3, 0.02
_WARM = 100  # steps
_NUMBERS = 5.0
"""Weight of the places as numbers: at an error of a tenth of the picture as much as half of a digit."""
_SHIFT = 12
"""Pixels that a picture is moved by, at most: the same scene elsewhere in the picture."""
_DIGITS = 3
_WHOLE = 1000
_KEPT_EVERY = 50


class Pictures:
    """Pictures as the model's processor makes them, (n, 3, side, side) uint8, with places (n, things, 2), NaN: none."""

    def __init__(self, processor: Any, examples: Sequence[Example]) -> None:
        self.images = np.stack([pixels(processor, example.image) for example in examples])
        self.places = np.full((len(examples), len(THINGS), 2), np.nan, np.float32)
        for row, example in enumerate(examples):
            for thing, place in example.places.items():
                if thing in THINGS:
                    self.places[row, THINGS.index(thing)] = place


def pixels(processor: Any, jpeg: bytes) -> NDArray[np.uint8]:
    """A picture as the model sees it, before it is made of mean 0, shape (3, side, side)."""
    picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
    values = processor.image_processor(picture, do_normalize=False, do_rescale=False, return_tensors="np")
    return np.clip(np.rint(values["pixel_values"][0, 0]), 0, 255).astype(np.uint8)


class PointingHead(nn.Module):
    """Says for each thing which token shows it, and the digits of its place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.heat = nn.Linear(width, len(THINGS))
        self.name = nn.Parameter(torch.randn(len(THINGS), width) * 0.02)
        self.value = nn.Linear(width, width)
        self.digits = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU())
        self.say = nn.Linear(2 * width, 2 * _DIGITS * 10)
        self.place = nn.Linear(2 * width, 2)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of ``tokens`` (n, tokens, width): logits (n, tokens, things) and (n, things, 2, digits, 10), places.

        The places, (n, things, 2) in 0..1, are said twice: a number is learned sooner than its digits.
        """
        tokens = self.norm(tokens)
        heat = self.heat(tokens)
        found = heat.softmax(dim=1).transpose(1, 2) @ self.value(tokens)
        known = self.digits(found + self.name)
        return heat, self.say(known).unflatten(-1, (2, _DIGITS, 10)), self.place(known)


def teach_to_point(
    model: Any, processor: Any, pictures: Pictures, steps: int, kept: Path, seed: int = 0, until: int | None = None
) -> float:
    """Train tower and connector of ``model`` for ``steps``; the median error over the last batches, share of the width.

    ``kept``: file that it goes on from, if it was ended before. ``until``: step to end at, for a break.
    """
    torch.manual_seed(seed)
    learned = _learned(model)
    optimizer = torch.optim.AdamW(learned.parameters(), lr=_RATE, weight_decay=_DECAY, betas=(0.9, 0.98))
    first = 0
    if kept.exists():
        stored = torch.load(kept, weights_only=True)
        learned.load_state_dict(stored["learned"])
        optimizer.load_state_dict(stored["optimizer"])
        first = stored["step"]
    errors: list[float] = []
    last = steps if until is None else until
    for step in range(first, last):
        images, places = next(_batches(pictures, np.random.default_rng([seed, step])))
        for group in optimizer.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / _WARM) * (0.51 + 0.49 * math.cos(math.pi * step / steps))
        heat, said, place = learned["head"](image_tokens(model, normalized(processor, images)))
        loss = _loss(heat, said, place, places)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(learned.parameters(), 1.0)
        optimizer.step()
        errors.append(_error(said, places))
        if (step + 1) % _KEPT_EVERY == 0 or step + 1 == last:
            aside = kept.with_suffix(".new")
            torch.save({"learned": learned.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, aside)
            aside.replace(kept)
            print(
                f"pointing: step {step + 1} of {steps}, loss {loss:.3f}, error {np.median(errors[-50:]):.4f}",
                flush=True,
            )
    return float(np.median(errors[-50:])) if errors else float("nan")


def found(model: Any, processor: Any, pictures: Pictures, kept: Path) -> float:
    """Share of the things in ``pictures`` that the tower kept in ``kept`` finds in the right patch."""
    learned = _learned(model)
    learned.load_state_dict(torch.load(kept, weights_only=True)["learned"])
    places = torch.from_numpy(pictures.places)
    there = torch.isfinite(places).all(-1)
    with torch.inference_mode():
        tokens = image_tokens(model, normalized(processor, torch.from_numpy(pictures.images).float()))
        heat = learned["head"](tokens)[0]
    right = heat.argmax(dim=1) == _patch(places.nan_to_num().clamp(0, _WHOLE - 1), heat.shape[1])
    return float(right[there].float().mean())


def _learned(model: Any) -> nn.ModuleDict:
    head = PointingHead(model.config.text_config.hidden_size)
    return nn.ModuleDict({"tower": model.model.vision_model, "connector": model.model.connector, "head": head})


def _patch(places: torch.Tensor, patches: int) -> torch.Tensor:
    """Number of the patch that each of ``places`` (..., 2) is in."""
    cells = round(patches**0.5)
    column, row = (places * cells / _WHOLE).long().unbind(-1)
    return row * cells + column


def image_tokens(model: Any, images: torch.Tensor) -> torch.Tensor:
    """What the language model gets of ``images`` (n, 3, side, side): (n, tokens, width)."""
    side = images.shape[-1] // model.config.vision_config.patch_size
    mask = torch.ones(len(images), side, side, dtype=torch.bool)
    seen = model.model.vision_model(pixel_values=images, patch_attention_mask=mask).last_hidden_state
    tokens: torch.Tensor = model.model.connector(seen)
    return tokens


def normalized(processor: Any, images: torch.Tensor) -> torch.Tensor:
    """uint8 as the processor hands it to the model."""
    form = processor.image_processor
    mean, std = (torch.tensor(values)[:, None, None] for values in (form.image_mean, form.image_std))
    return (images / 255.0 - mean) / std


def _batches(pictures: Pictures, rng: np.random.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Pictures moved and of another brightness, and the places that follow."""
    while True:
        rows = rng.integers(0, len(pictures.images), _BATCH)
        images, places = torch.from_numpy(pictures.images[rows]).float(), pictures.places[rows].copy()
        side = images.shape[-1]
        padded = functional.pad(images, [_SHIFT] * 4, mode="replicate")
        moves = rng.integers(-_SHIFT, _SHIFT + 1, (_BATCH, 2))
        moved = [
            padded[row, :, _SHIFT - y : _SHIFT - y + side, _SHIFT - x : _SHIFT - x + side]
            for row, (x, y) in enumerate(moves)
        ]
        places += moves[:, None, :] * _WHOLE / side
        places[(places < 0).any(-1) | (places >= _WHOLE).any(-1)] = np.nan
        gain = torch.from_numpy(rng.uniform(0.75, 1.2, (_BATCH, 3, 1, 1)).astype(np.float32))
        yield (torch.stack(moved) * gain).clamp(0, 255), torch.from_numpy(places)


def _loss(heat: torch.Tensor, said: torch.Tensor, place: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    there = torch.isfinite(places).all(-1)
    where = places.nan_to_num().clamp(0, _WHOLE - 1)
    shown = functional.cross_entropy(heat.transpose(1, 2)[there], _patch(where, heat.shape[1])[there])
    digits = _digits(where)
    spoken = functional.cross_entropy(said[there].flatten(0, 2), digits[there].flatten())
    return shown + spoken + _NUMBERS * functional.l1_loss(place[there], where[there] / _WHOLE)


def _digits(places: torch.Tensor) -> torch.Tensor:
    whole = places.round().clamp(0, _WHOLE - 1).long()
    return torch.stack([whole // 10 ** (_DIGITS - 1 - i) % 10 for i in range(_DIGITS)], dim=-1)


def _error(said: torch.Tensor, places: torch.Tensor) -> float:
    """Median distance over all things, as a share of the width (of a square picture)."""
    scale = torch.tensor([10.0 ** (_DIGITS - 1 - i) for i in range(_DIGITS)])
    told = (said.argmax(-1) * scale).sum(-1)
    away = (told - places).norm(dim=-1)
    return float(away[torch.isfinite(away)].median()) / _WHOLE
