"""What is learned of pictures: convolutions end to end, or weights over the places of a frozen tower's maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn
from torch.nn import functional

from varl_agent.pixels.pictured_env import STATE
from varl_agent.pixels.scaling import bounds

SHIFT = 4
"""Pixels that a picture is moved by, at most, while learning (Yarats et al. 2021, DrQ-v2, section 3.1)."""
_WIDTH = 32  # channels of each convolution, as there
_FEATURES = 50  # of a camera, as there
_EMBEDDINGS = 8  # of a channel (Luo et al. 2024, SERL, section IV)


class DrqExtractor(BaseFeaturesExtractor):
    """Each camera's picture through convolutions of its own, moved by chance while learning; the state beside.

    Only pictures that are learned from are moved: targets are of the next ones as they are.

    Args:
        hidden: elements of the state that are not seen.
        scaled: the state is scaled by its bounds.
    """

    def __init__(self, observation_space: spaces.Dict, hidden: Sequence[int] = (), scaled: bool = True) -> None:
        cameras = [name for name in observation_space.spaces if name != STATE]
        state = observation_space[STATE]
        super().__init__(observation_space, _FEATURES * len(cameras) + int(np.prod(state.shape or ())))
        self.cameras = cameras
        self.encoders = nn.ModuleDict({name: _convolutions(observation_space[name].shape or ()) for name in cameras})
        self.state = ScaledState(state, hidden, scaled)

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """(n, features_dim) of pictures (n, 3, side, side) in 0..1 and the state (n, size)."""
        pictures = {name: observations[name] - 0.5 for name in self.cameras}
        if self.training and torch.is_grad_enabled():  # not to look at what was learned, nor for a target
            pictures = {name: moved(picture) for name, picture in pictures.items()}
        seen = [self.encoders[name](picture) for name, picture in pictures.items()]
        return torch.cat([*seen, self.state(observations[STATE])], dim=1)


class SpatialEmbeddings(BaseFeaturesExtractor):
    """Of a flat observation, the state and after it a frozen tower's maps: weighted sums over each channel's places.

    Args:
        shape: (channels, height, width) of a camera's maps.
        hidden: elements of the state that are not seen.
        scaled: the state is scaled by its bounds.
    """

    def __init__(
        self, observation_space: spaces.Box, shape: Sequence[int], hidden: Sequence[int] = (), scaled: bool = True
    ) -> None:
        channels, height, width = shape
        total, each = int(np.prod(observation_space.shape)), channels * height * width
        cameras = total // each
        self.size = total - cameras * each  # of the state
        super().__init__(observation_space, cameras * _FEATURES + self.size)
        self.shape = cameras, *shape
        self.weights = nn.Parameter(
            torch.randn(cameras, channels, height * width, _EMBEDDINGS) / (height * width) ** 0.5
        )
        self.heads = nn.ModuleList(_head(channels * _EMBEDDINGS) for _ in range(cameras))
        state = spaces.Box(observation_space.low[: self.size], observation_space.high[: self.size])
        self.state = ScaledState(state, hidden, scaled)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """(n, features_dim) of (n, size)."""
        maps = observations[:, self.size :].unflatten(1, self.shape).flatten(3)
        sums = torch.einsum("nkcp,kcpe->nkce", maps, self.weights).flatten(2)
        seen = [head(sums[:, camera]) for camera, head in enumerate(self.heads)]
        return torch.cat([*seen, self.state(observations[:, : self.size])], dim=1)


class ScaledState(nn.Module):
    """Numbers mapped to -1..1 by their bounds, or as they are where not ``scaled``; those that are hidden, to 0."""

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, space: Any, hidden: Sequence[int], scaled: bool) -> None:
        super().__init__()
        middle, half = bounds(space) if scaled else (np.zeros(space.shape), np.ones(space.shape))
        scale = 1.0 / half
        scale[list(hidden)] = 0.0
        self.register_buffer("shift", torch.tensor(middle, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """(n, size) to (n, size)."""
        return (state - self.shift) * self.scale


def moved(pictures: torch.Tensor) -> torch.Tensor:
    """``pictures`` (n, channels, side, side), each moved by up to ``SHIFT`` pixels, its edges repeated."""
    n, _, height, width = pictures.shape
    padded = functional.pad(pictures, [SHIFT] * 4, mode="replicate")
    down, right = torch.randint(0, 2 * SHIFT + 1, (2, n, 1))
    rows = (torch.arange(height) + down).to(pictures.device)
    columns = (torch.arange(width) + right).to(pictures.device)
    which = torch.arange(n, device=pictures.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _convolutions(shape: Sequence[int]) -> nn.Sequential:
    """Four layers, as in DrQ-v2, and what they come to in ``_FEATURES`` numbers."""
    layers: list[nn.Module] = []
    channels = shape[0]
    for stride in (2, 1, 1, 1):
        layers += [nn.Conv2d(channels, _WIDTH, 3, stride), nn.ReLU()]
        channels = _WIDTH
    stem = nn.Sequential(*layers, nn.Flatten())
    with torch.no_grad():
        size = stem(torch.zeros(1, *shape)).shape[1]
    return nn.Sequential(stem, _head(size))


def _head(size: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, _FEATURES), nn.LayerNorm(_FEATURES), nn.Tanh())
