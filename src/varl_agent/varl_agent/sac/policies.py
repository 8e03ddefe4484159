"""Policies of VARL: SAC's, with inputs scaled by their bounds and layer normalisation in the critics."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, CombinedExtractor, NatureCNN, create_mlp
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.sac.policies import SACPolicy
from torch import nn


class ScaledExtractor(BaseFeaturesExtractor):
    """Flattens an observation and maps each element that is bounded on both sides to [-1, 1]: metres, radians and
    openings of very different size reach the network alike. Elements without bounds pass as they are.

    Attributes:
        shift, scale: (obs_dim,); features = (observation - shift) * scale.
    """

    shift: th.Tensor
    scale: th.Tensor

    def __init__(self, observation_space: spaces.Box) -> None:
        super().__init__(observation_space, int(np.prod(observation_space.shape)))
        low = observation_space.low.astype(np.float64).ravel()
        high = observation_space.high.astype(np.float64).ravel()
        bounded = np.isfinite(low) & np.isfinite(high) & (high > low)
        middle = np.where(bounded, (np.where(bounded, high, 0) + np.where(bounded, low, 0)) / 2, 0.0)
        half = np.where(bounded, np.where(bounded, high, 1) - middle, 1.0)
        self.register_buffer("shift", th.tensor(middle, dtype=th.float32))
        self.register_buffer("scale", th.tensor(1.0 / half, dtype=th.float32))

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """(n, ...) observations to (n, obs_dim) features."""
        return (observations.flatten(1) - self.shift) * self.scale


class LayerNormCritic(ContinuousCritic):
    """SB3's critics with a LayerNorm after each hidden linear layer: it bounds how far Q extrapolates beyond the data
    (Ball et al. 2023, RLPD, section 4.2), which is what keeps advised behaviour alive after the cutoff."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        inputs = kwargs["features_dim"] + get_action_dim(self.action_space)
        for i in range(self.n_critics):
            layers = create_mlp(
                inputs, 1, kwargs["net_arch"], kwargs["activation_fn"], post_linear_modules=[nn.LayerNorm]
            )
            self.q_networks[i] = nn.Sequential(*layers)
            setattr(self, f"qf{i}", self.q_networks[i])


class VARLPolicy(SACPolicy):
    """SAC's policy; ``layer_norm`` puts LayerNorm into the critics (default)."""

    default_extractor: type[BaseFeaturesExtractor] = ScaledExtractor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        lr_schedule: Schedule,
        layer_norm: bool = True,
        **kwargs: Any,
    ) -> None:
        self.layer_norm = layer_norm
        kwargs.setdefault("features_extractor_class", self.default_extractor)
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "layer_norm": self.layer_norm}

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> ContinuousCritic:
        """The pair of critics."""
        kwargs = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return (LayerNormCritic if self.layer_norm else ContinuousCritic)(**kwargs).to(self.device)


class VARLCnnPolicy(VARLPolicy):
    """From pixels."""

    default_extractor = NatureCNN


class VARLMultiInputPolicy(VARLPolicy):
    """From a Dict observation."""

    default_extractor = CombinedExtractor
