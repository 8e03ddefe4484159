"""A localiser: a small network that finds named things in a camera's pictures, taught by some hundred pointings.

It gives each thing's pixel with a confidence, or says that it is lost. It knows one camera and one scene: whatever else
a picture could show it has never seen, so it is taught anew where the scene changes.

The network is fully convolutional: it gives each cell of the picture, and the answer "nowhere", a probability. That a
thing looks the same wherever it is is then built in, and the noise of the pointings, which goes this way and that,
averages out. A pointing far from where the half-taught network is sure to see the thing is taken for a slip.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from varl_robot_env.types import Array, Image

WIDTH = 320
"""Pixels to which pictures are brought: a 4 cm block 1.2 m away is 11 of them."""
STRIDE = 4
"""Pixels a cell is wide."""
_CHANNELS, _DILATIONS = 32, (1, 2, 4, 1)
_RADIUS = 2.5  # cells about the peak that make up the answer
_SHIFTS = 3  # mean shifts (Comaniciu and Meer 2002): the highest cell of a broad peak is anywhere in it


@dataclass(frozen=True)
class Pointing:
    """What a model says of a picture."""

    rgb: Image
    pixels: Mapping[str, Array | None]
    """Of each thing that it was asked for: (2,) pixels x, y, or None where it does not see it."""


@dataclass(frozen=True)
class Sighting:
    """Where a thing is seen."""

    pixel: Array
    """(2,) x, y."""
    confidence: float
    """Probability, by the network's own word, that it is there, 0..1."""


class HeatMaps(nn.Module):
    """From pictures (n, 3, h, w) to logits (n, things, h/4 * w/4 + 1); the last one stands for nowhere."""

    def __init__(self, things: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [*_conv(3, _CHANNELS // 2, stride=2), *_conv(_CHANNELS // 2, _CHANNELS, stride=2)]
        for dilation in _DILATIONS:
            layers += _conv(_CHANNELS, _CHANNELS, dilation=dilation)
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv2d(_CHANNELS, things, 1)
        self.nowhere = nn.Parameter(torch.full((things,), 4.0))

    def forward(self, pictures: Tensor) -> Tensor:
        maps = self.head(self.body(pictures)).flatten(2)
        nowhere = self.nowhere.expand(len(pictures), -1)[..., None]
        return torch.cat([maps, nowhere], 2)


def _conv(before: int, after: int, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(before, after, 3, stride, padding=dilation, dilation=dilation, bias=False)
    return [conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]


class Localiser:
    """Finds the things that it was taught.

    Attributes:
        names: of the things.
        confidence: the least that counts as seen.
        offsets: (things, 2) pixels of a picture ``WIDTH`` wide, added to where the network sees each thing.
    """

    def __init__(self, names: Sequence[str], network: HeatMaps, confidence: float = 0.5) -> None:
        self.names, self._network, self.confidence = list(names), network.eval(), confidence
        self.offsets: Array = np.zeros((len(self.names), 2))

    def find(self, rgb: Image) -> dict[str, Sighting]:
        """Each thing that it sees in ``rgb`` (h, w, 3) uint8; it is lost about the others."""
        found = self.look(rgb)
        return {name: one for name, one in found.items() if one.confidence >= self.confidence}

    def look(self, rgb: Image, radius: float = _RADIUS) -> dict[str, Sighting]:
        """Where each thing is most likely, however little that is; ``radius``: cells that make up an answer."""
        small, scale = shrink(rgb)
        with torch.inference_mode():
            logits = self._network(to_tensor(small[None]))[0]
        width = math.ceil(small.shape[1] / STRIDE)
        found = {}
        for name, row, offset in zip(self.names, logits.softmax(1).numpy(), self.offsets, strict=True):
            cell, confidence = _peak(row[:-1].reshape(-1, width), radius)
            found[name] = Sighting(at_scale(cell * STRIDE + STRIDE / 2 - 0.5 + offset, 1 / scale), confidence)
        return found


def _peak(shares: NDArray[np.float32], radius: float) -> tuple[Array, float]:
    """Cell x, y (fractions) about which the neighbourhood of the highest cell is centred, and its probability."""
    row, column = (float(one) for one in np.unravel_index(int(shares.argmax()), shares.shape))
    rows, columns = np.ogrid[: shares.shape[0], : shares.shape[1]]
    total = 0.0
    for _ in range(_SHIFTS):
        near = shares * ((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)
        total = max(float(near.sum()), 1e-9)
        row, column = float((near * rows).sum()) / total, float((near * columns).sum()) / total
    return np.array([column, row]), total


def shrink(rgb: Image) -> tuple[Image, float]:
    """``rgb`` at the localiser's width, with sides that cells fill, and by how much it was scaled."""
    scale = WIDTH / rgb.shape[1]
    height = round(rgb.shape[0] * scale)
    small = rgb if scale == 1.0 else cv2.resize(rgb, (WIDTH, height), interpolation=cv2.INTER_AREA)
    spare = -height % STRIDE
    return np.asarray(np.pad(small, [(0, spare), (0, 0), (0, 0)], mode="edge"), np.uint8), scale


def at_scale(pixel: Array, scale: float) -> Array:
    """Where ``pixel`` is in the picture scaled so: its number is that of its middle, the picture's edge is at -0.5."""
    return (np.asarray(pixel) + 0.5) * scale - 0.5


def to_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """(n, 3, h, w) float32 about 0 of pictures (n, h, w, 3)."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
