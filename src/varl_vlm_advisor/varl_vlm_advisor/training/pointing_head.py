"""What a vision tower is taught to point by: which of its tokens shows each thing, and where that is.

Every patch, and every token that the language model gets, says for each thing whether it is there (a softmax over the
picture) and how far off. From what is found there, the place must be readable as the language model has to say it: as
the code of its coordinates. A head is thrown away once it has taught.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from varl_vlm_advisor.training.small_model import WHOLE, coordinate_codes

THINGS = ("tool", "block", "target", "point")
"""What is pointed at: the things, and what the right answer points at."""
_SPREAD = 0.6
"""Patches: around a place, that many more show it somewhat."""
_SLIP = 6.0
"""Thousandths: a coordinate that far off is somewhat right."""
_PLACE, _SAID = 5.0, 0.5
"""Weights of the place as two numbers (an error of a fifth of the picture counts 1) and as the code of them."""
_SHARP = 4.0


@dataclass(frozen=True)
class Pointed:
    """What a head says of n pictures; places are x, y in 0..1 of the picture."""

    heat: torch.Tensor
    """(n, patches, things) logits."""
    offset: torch.Tensor
    """(n, patches, things, 2), in patches, from the patch's middle to the thing."""
    token_heat: torch.Tensor
    """(n, tokens, things) logits."""
    token_place: torch.Tensor
    """(n, tokens, things, 2)."""
    place: torch.Tensor
    """(n, things, 2), of what was found."""
    said: torch.Tensor
    """(n, things, 2, WHOLE + 1) logits of the coordinates."""


class PointingHead(nn.Module):
    """Reads patches of ``seen`` features and tokens of ``width``."""

    def __init__(self, seen: int, width: int) -> None:
        super().__init__()
        many = len(THINGS)
        self.patch_norm, self.norm = nn.LayerNorm(seen), nn.LayerNorm(width)
        self.heat, self.offset = nn.Linear(seen, many), nn.Linear(seen, 2 * many)
        self.token_heat, self.token_place = nn.Linear(width, many), nn.Linear(width, 2 * many)
        self.value = nn.Linear(width, width)
        self.name = nn.Parameter(torch.randn(many, width) * 0.02)
        self.place = _two_layers(width, 2)
        self.code = _two_layers(width, 2 * width)
        self.sharpness = nn.Parameter(torch.tensor(_SHARP))
        self.register_buffer("codes", coordinate_codes(width), persistent=False)

    def forward(self, patches: torch.Tensor, tokens: torch.Tensor) -> Pointed:
        """Of ``patches`` (n, patches, seen) and ``tokens`` (n, tokens, width)."""
        patches, tokens = self.patch_norm(patches), self.norm(tokens)
        heat = self.token_heat(tokens)
        found = heat.softmax(dim=1).transpose(1, 2) @ self.value(tokens) + self.name
        code = self.code(found).unflatten(-1, (2, -1))
        return Pointed(
            self.heat(patches),
            self.offset(patches).unflatten(-1, (-1, 2)),
            heat,
            self.token_place(tokens).unflatten(-1, (-1, 2)),
            self.place(found),
            self.sharpness * (code @ self.codes.T),
        )


def _two_layers(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, out))


def loss(pointed: Pointed, places: torch.Tensor) -> torch.Tensor:
    """How wrong what was ``pointed`` at is, where things are at ``places`` (n, things, 2) in 0..1; NaN: nowhere."""
    there = torch.isfinite(places).all(-1)
    where = places.nan_to_num(0.5)
    patches, tokens = pointed.heat.shape[1], pointed.token_heat.shape[1]
    right_patches, right_tokens = shares(where, patches), shares(where, tokens)
    away = (where[:, None] - _middles(patches)[None, :, None]) * round(patches**0.5)
    token_away = (pointed.token_place - where[:, None]).abs().sum(-1) * round(tokens**0.5)
    of_each = (
        -(right_patches * pointed.heat.log_softmax(dim=1)).sum(1)
        + ((pointed.offset - away).abs().sum(-1) * right_patches).sum(1)
        - (right_tokens * pointed.token_heat.log_softmax(dim=1)).sum(1)
        + (token_away * right_tokens).sum(1)
        + _PLACE * (pointed.place - where).abs().sum(-1)
    )
    coordinates = torch.arange(WHOLE + 1)
    off = coordinates - WHOLE * where[there].flatten()[:, None]
    right = torch.softmax(-(off**2) / (2 * _SLIP**2), dim=1)
    said = functional.cross_entropy(pointed.said[there].flatten(0, 1), right)
    return of_each[there].mean() + _SAID * said


def pointed_at(pointed: Pointed) -> torch.Tensor:
    """(n, things, 2) in 0..1: the likeliest patch's own guess."""
    middles = _middles(pointed.heat.shape[1])
    best = pointed.heat.argmax(dim=1)
    offsets = pointed.offset.transpose(1, 2).take_along_dim(best[..., None, None], dim=2).squeeze(2)
    return middles[best] + offsets / round(len(middles) ** 0.5)


def error(places: torch.Tensor, right: torch.Tensor) -> float:
    """Median distance between places (n, things, 2), as a share of the width of a picture of 4 to 3; NaN: nowhere."""
    away = ((places - right) * torch.tensor([1.0, 0.75])).norm(dim=-1)
    return float(away[torch.isfinite(away)].median())


def shares(where: torch.Tensor, cells: int) -> torch.Tensor:
    """How much each of ``cells``, row by row, shows of what is at ``where`` (n, things, 2); (n, cells, things)."""
    away = (_middles(cells)[None, :, None] - where[:, None]).square().sum(-1) * cells
    return torch.softmax(-away / (2 * _SPREAD**2), dim=1)


def _middles(cells: int) -> torch.Tensor:
    """(cells, 2) x, y in 0..1."""
    side = round(cells**0.5)
    at = (torch.arange(side) + 0.5) / side
    return torch.stack([at.repeat(side), at.repeat_interleave(side)], dim=1)
