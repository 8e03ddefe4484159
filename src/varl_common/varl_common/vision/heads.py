"""From a tower's maps to a few numbers: where in the picture each channel is high."""

from __future__ import annotations

import torch

SHARPNESS = 4.0
"""A channel's logits are its deviations from its mean over the picture, so many for a standard deviation. At 1 its
place hardly leaves the middle; a hard maximum would jump from patch to patch."""


def spatial_softmax(maps: torch.Tensor, sharpness: float = SHARPNESS) -> torch.Tensor:
    """Expected place of each channel, (n, 2 channels) in -1..1: all x (right), then all y (down).

    (Finn et al. 2016, Deep Spatial Autoencoders, section IV.B.) ``maps``: (n, channels, height, width).
    """
    n, channels, height, width = maps.shape
    flat = maps.flatten(2)
    away = flat - flat.mean(dim=2, keepdim=True)
    deviation = (away.square().sum(dim=2, keepdim=True) / (height * width - 1)).sqrt()  # torch's own std is slow
    share = (away * (sharpness / deviation.clamp_min(1e-6))).softmax(dim=2)
    share = share.view(n, channels, height, width)
    x = torch.linspace(-1.0, 1.0, width, device=maps.device)
    y = torch.linspace(-1.0, 1.0, height, device=maps.device)
    return torch.cat([(share.sum(dim=2) * x).sum(dim=2), (share.sum(dim=3) * y).sum(dim=2)], dim=1)
