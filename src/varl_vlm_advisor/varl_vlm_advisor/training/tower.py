"""Teach a vision tower to point before it is taught to speak: where in the picture is each thing?

A language model that is to say where a thing is learns slowly from a tower that knows nothing. The tower alone learns
it fast, from a :class:`~varl_vlm_advisor.training.pointing_head.PointingHead` that reads it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn import functional

from varl_vlm_advisor.training import pointing_head
from varl_vlm_advisor.training.examples import Example
from varl_vlm_advisor.training.pointing_head import THINGS, Pointed, PointingHead
from varl_vlm_advisor.training.settings import half_is_fast
from varl_vlm_advisor.training.small_model import WHOLE
from varl_vlm_advisor.training.stage import Stage

_BATCH = 16
_RATE, _DECAY = 2e-3, 0.02
_FALLING = 0.36
"""Share of the steps, the last, in which the rate falls to nothing."""
_SHIFT = 12
"""Pixels that a picture is moved by, at most: the same scene elsewhere in the picture."""


class Pictures:
    """Pictures as the model's processor makes them, (n, 3, side, side) uint8, with places (n, things, 2) in 0..1 of
    the picture; NaN: none."""

    def __init__(self, processor: Any, examples: Sequence[Example]) -> None:
        self.images = np.stack([pixels(processor, example.image) for example in examples])
        self.places = np.full((len(examples), len(THINGS), 2), np.nan, np.float32)
        for row, example in enumerate(examples):
            for thing, place in _places(example).items():
                if thing in THINGS:
                    self.places[row, THINGS.index(thing)] = np.array(place) / WHOLE


def _places(example: Example) -> dict[str, list[int]]:
    answer = json.loads(example.answer)
    pointing = "phase" in answer and answer["phase"] != "lift"
    return example.places | ({"point": answer["point"]} if pointing else {})


def pixels(processor: Any, jpeg: bytes) -> NDArray[np.uint8]:
    """A picture as the model sees it, before it is made of mean 0, shape (3, side, side)."""
    picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
    values = processor.image_processor(picture, do_normalize=False, do_rescale=False, return_tensors="np")
    return np.clip(np.rint(values["pixel_values"][0, 0]), 0, 255).astype(np.uint8)


def teach_to_point(
    model: Any, processor: Any, pictures: Pictures, steps: int, kept: Path, seed: int = 0, until: int | None = None
) -> None:
    """Train tower and connector of ``model`` for ``steps``.

    ``kept``: file that it goes on from, if it was ended before. ``until``: step to end at, for a break.
    """
    torch.manual_seed(seed)
    head, learned = _learned(model)

    def loss_of(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        images, places = _batch(pictures, np.random.default_rng([seed, step]))
        pointed = _pointed(model, head, normalized(processor, images))
        error = pointing_head.error(pointing_head.pointed_at(pointed).detach(), places)
        return pointing_head.loss(pointed, places), {"error": error}

    Stage(kept, learned, steps, _RATE, _DECAY, _FALLING).run(loss_of, until)


def pointing_error(model: Any, processor: Any, pictures: Pictures, kept: Path) -> float:
    """Median error, as a share of the width, of the tower kept in ``kept``."""
    head, learned = _learned(model)
    learned.load_state_dict(torch.load(kept, weights_only=True)["learned"])
    with torch.inference_mode():
        images = normalized(processor, torch.from_numpy(pictures.images).float())
        places = pointing_head.pointed_at(_pointed(model, head, images))
    return pointing_head.error(places, torch.from_numpy(pictures.places))


def _learned(model: Any) -> tuple[PointingHead, nn.ModuleDict]:
    head = PointingHead(model.config.vision_config.hidden_size, model.config.text_config.hidden_size)
    return head, nn.ModuleDict({"tower": model.model.vision_model, "connector": model.model.connector, "head": head})


def _pointed(model: Any, head: PointingHead, images: torch.Tensor) -> Pointed:
    """In bfloat16, where that is fast on this machine."""
    with torch.autocast("cpu", torch.bfloat16, enabled=half_is_fast("cpu")):
        patches, tokens = seen(model, images)
    pointed: Pointed = head(patches.float(), tokens.float())
    return pointed


def seen(model: Any, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The tower's patches of ``images`` (n, 3, side, side), and what the language model gets of them."""
    side = images.shape[-1] // model.config.vision_config.patch_size
    mask = torch.ones(len(images), side, side, dtype=torch.bool)
    patches = model.model.vision_model(pixel_values=images, patch_attention_mask=mask).last_hidden_state
    return patches, model.model.connector(patches)


def normalized(processor: Any, images: torch.Tensor) -> torch.Tensor:
    """uint8 as the processor hands it to the model."""
    form = processor.image_processor
    mean, std = (torch.tensor(values)[:, None, None] for values in (form.image_mean, form.image_std))
    return (images / 255.0 - mean) / std


def _batch(pictures: Pictures, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures moved and of another brightness, and the places that follow."""
    rows = rng.integers(0, len(pictures.images), _BATCH)
    images, places = torch.from_numpy(pictures.images[rows]).float(), pictures.places[rows].copy()
    side = images.shape[-1]
    padded = functional.pad(images, [_SHIFT] * 4, mode="replicate")
    moves = rng.integers(-_SHIFT, _SHIFT + 1, (_BATCH, 2))
    moved = [
        padded[row, :, _SHIFT - y : _SHIFT - y + side, _SHIFT - x : _SHIFT - x + side]
        for row, (x, y) in enumerate(moves)
    ]
    places += moves[:, None, :] / side
    places[(places < 0).any(-1) | (places > 1).any(-1)] = np.nan
    gain = torch.from_numpy(rng.uniform(0.75, 1.2, (_BATCH, 3, 1, 1)).astype(np.float32))
    return (torch.stack(moved) * gain).clamp(0, 255), torch.from_numpy(places)
