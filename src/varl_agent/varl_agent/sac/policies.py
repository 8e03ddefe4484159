"""Policies of VARL: SAC's, with inputs scaled by their bounds and layer normalisation in the critics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.preprocessing import get_action_dim, get_flattened_obs_dim, is_image_space
from stable_baselines3.common.torch_layers import (
    BaseFeaturesExtractor,
    CombinedExtractor,
    FlattenExtractor,
    NatureCNN,
    create_mlp,
)
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.sac.policies import SACPolicy
from torch import nn

from varl_agent.pixels.scaling import bounds


class ScaledExtractor(BaseFeaturesExtractor):
    """Flattens an observation and maps each element that is bounded on both sides to [-1, 1]: metres, radians and
    openings of very different size reach the network alike. Elements without bounds, and what Stable-Baselines3 encodes
    or scales itself before it (one-hot numbers, bits, uint8 images in [0, 1]), pass as they are.

    Args:
        normalized_image: images are not to be scaled by 255 (the policy's ``normalize_images`` is False).
        hidden: elements that are not seen, by their indices: their feature is 0.
        scaled: elements are mapped by their bounds; else what is seen passes as it is.

    Attributes:
        shift, scale: (features_dim,); features = (observation - shift) * scale.
    """

    shift: th.Tensor
    scale: th.Tensor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        normalized_image: bool = False,
        hidden: Sequence[int] = (),
        scaled: bool = True,
    ) -> None:
        size = get_flattened_obs_dim(observation_space)
        super().__init__(observation_space, size)
        middle, half = np.zeros(size), np.ones(size)
        if scaled and isinstance(observation_space, spaces.Box):
            scaled_before = is_image_space(observation_space) and not normalized_image
            if not scaled_before:
                middle, half = bounds(observation_space)
        self.register_buffer("shift", th.tensor(middle, dtype=th.float32))
        scale = 1.0 / half
        scale[list(hidden)] = 0.0
        self.register_buffer("scale", th.tensor(scale, dtype=th.float32))

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """(n, ...) observations to (n, features_dim) features."""
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
    """SAC's policy.

    Args:
        layer_norm: LayerNorm in the critics (:class:`LayerNormCritic`).
        scaled_inputs: a vector is scaled by its bounds (:class:`ScaledExtractor`). Of no effect where the
            observation is an image or a Dict or a ``features_extractor_class`` is given: that scales or not.
    """

    default_extractor: type[BaseFeaturesExtractor] = ScaledExtractor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        lr_schedule: Schedule,
        layer_norm: bool = True,
        scaled_inputs: bool = True,
        **kwargs: Any,
    ) -> None:
        self.layer_norm, self.scaled_inputs = layer_norm, scaled_inputs
        default = self.default_extractor
        extras = kwargs.get("features_extractor_kwargs") or {}
        if default is ScaledExtractor and not scaled_inputs and not extras:  # as SB3's, which can hide nothing
            default = FlattenExtractor
        if kwargs.setdefault("features_extractor_class", default) is ScaledExtractor:
            own = {"normalized_image": not kwargs.get("normalize_images", True), "scaled": scaled_inputs}
            kwargs["features_extractor_kwargs"] = {**own, **extras}
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        own = {"layer_norm": self.layer_norm, "scaled_inputs": self.scaled_inputs}
        return {**super()._get_constructor_parameters(), **own}

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> ContinuousCritic:
        """The pair of critics."""
        kwargs = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return (LayerNormCritic if self.layer_norm else ContinuousCritic)(**kwargs).to(self.device)


class VARLCnnPolicy(VARLPolicy):
    """From pixels."""

    default_extractor = NatureCNN


class VARLMultiInputPolicy(VARLPolicy):
    """From a Dict observation: its vectors pass as they are, whatever ``scaled_inputs`` says; to have one scaled, make
    the observation one vector (``gymnasium.wrappers.FlattenObservation``) and take "MlpPolicy"."""

    default_extractor = CombinedExtractor
