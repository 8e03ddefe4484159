"""The density of SAC's policy, a Gaussian squashed by tanh, axis by axis."""

from __future__ import annotations

import math

import torch as th

EPS = 1e-6  # Stable-Baselines3's guard of log(1 - a^2), which is -inf in float32 once |a| rounds to 1
LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


def log_prob_per_axis(mean: th.Tensor, std: th.Tensor, action: th.Tensor) -> th.Tensor:
    """(n, act_dim) log pi(a_j | s) (Haarnoja et al. 2018, appendix C).

    Args:
        mean, std: (n, act_dim) of the Gaussian before the tanh.
        action: (n, act_dim) inside (-1, 1).
    """
    latent = th.atanh(action)
    gaussian = -0.5 * ((latent - mean) / std) ** 2 - th.log(std) - LOG_SQRT_2PI
    return gaussian - th.log(1.0 - action**2 + EPS)
