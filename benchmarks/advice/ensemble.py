"""RLPD with its own critics: an ensemble of ten, of which a random pair makes each target, and 20 updates a step."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch as th
import torch.nn.functional as F
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.utils import polyak_update
from torch import nn
from varl_agent.sac.batches import Batch
from varl_agent.sac.policies import VARLPolicy

from benchmarks.advice.rivals import Demonstrated


class EnsembleLinear(nn.Module):
    """``members`` linear layers as one product, begun as torch's ``nn.Linear``."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(th.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(th.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: th.Tensor) -> th.Tensor:
        """(members, n, inputs) to (members, n, outputs)."""
        return th.baddbmm(self.bias, x, self.weight)


class EnsembleNorm(nn.Module):
    """LayerNorm with a scale and a shift for each member."""

    def __init__(self, members: int, size: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(th.ones(members, 1, size)), nn.Parameter(th.zeros(members, 1, size))

    def forward(self, x: th.Tensor) -> th.Tensor:
        """(members, n, size) to the same shape."""
        return F.layer_norm(x, x.shape[-1:]) * self.scale + self.shift


class EnsembleCritic(ContinuousCritic):
    """``n_critics`` Q functions with layer normalisation, computed together."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "n_critics": 0})
        self.n_critics = kwargs["n_critics"]
        sizes = [kwargs["features_dim"] + get_action_dim(self.action_space), *kwargs["net_arch"]]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [
                EnsembleLinear(self.n_critics, inputs, outputs),
                EnsembleNorm(self.n_critics, outputs),
                nn.ReLU(),
            ]
        self.q = nn.Sequential(*layers, EnsembleLinear(self.n_critics, sizes[-1], 1))

    def forward(self, obs: Any, actions: th.Tensor) -> tuple[th.Tensor, ...]:
        """A (n, 1) tensor of each critic."""
        features = self.extract_features(obs, self.features_extractor)
        inputs = th.cat([features, actions], dim=1)
        return tuple(self.q(inputs.expand(self.n_critics, *inputs.shape)))


class EnsemblePolicy(VARLPolicy):
    """SAC's policy with an ensemble of critics."""

    def make_critic(self, features_extractor: Any = None) -> ContinuousCritic:
        return EnsembleCritic(**self._update_features_extractor(self.critic_kwargs, features_extractor)).to(self.device)


class OwnRlpd(Demonstrated):
    """RLPD as published (Ball et al. 2023, algorithm 1), at the bench's learning rate, network and batch.

    ``UTD`` updates of the critics to a step of the environment (with ``--update-every 1``), each on a batch of its own;
    a target is the lesser of a random pair of the target critics; the actor, updated once, climbs the mean of all.
    """

    UTD, PAIR = 20, 2

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """For each of ``gradient_steps`` one update of actor and temperature, and ``UTD`` of the critics."""
        self.policy.set_training_mode(True)
        for _ in range(gradient_steps):
            batches = [batch for batch, _ in self.sampler.batches(self.UTD, batch_size)]
            for batch in batches:
                self._learn_critics(batch)
            self._learn_actor(batches[-1])
        self._n_updates += gradient_steps

    def _learn_critics(self, batch: Batch) -> None:
        discount = self.gamma if batch.discounts is None else batch.discounts
        with th.no_grad():
            actions, log_prob = self.actor.action_log_prob(batch.next_observations)
            values = th.stack(self.critic_target(batch.next_observations, actions))
            least = values[th.randperm(len(values))[: self.PAIR]].amin(0)
            soft_value = least - th.exp(self.log_ent_coef) * log_prob.reshape(-1, 1)  # type: ignore[arg-type]
            target = batch.rewards + (1 - batch.dones) * discount * soft_value
        values = th.stack(self.critic(batch.observations, batch.actions))
        self._step(self.critic.optimizer, ((values - target) ** 2).mean(dim=(1, 2)).sum())
        polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)

    def _learn_actor(self, batch: Batch) -> None:
        actions, log_prob = self.actor.action_log_prob(batch.observations)
        log_prob = log_prob.reshape(-1, 1)
        assert self.ent_coef_optimizer is not None
        assert self.log_ent_coef is not None
        surplus = (log_prob + float(self.target_entropy)).detach().mean()
        self._step(self.ent_coef_optimizer, -(self.log_ent_coef * surplus).mean())
        value = th.stack(self.critic(batch.observations, actions)).mean(0)
        self._step(self.actor.optimizer, (th.exp(self.log_ent_coef.detach()) * log_prob - value).mean())
