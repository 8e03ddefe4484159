"""K runs of one setting trained in one process: small networks are mostly overhead, so K of them are stacked.

The update is VARL's own (``varl_agent.varl``), written once more over a leading axis of runs: the parameters of the
K actors are one tensor (K, in, out) a layer, and so are those of the 2K critics, so that a layer is one ``baddbmm`` for
all runs. The losses of the runs are added up; as no parameter is shared, each run's gradient is its own. Each model
keeps its replay, guidance, cutoff and counters, and its networks are views of the stack: ``predict`` and ``save`` work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch as th
import torch.nn.functional as F
from torch import nn
from varl_agent.gates import EPS, log_prob_per_axis
from varl_agent.policies import ScaledExtractor
from varl_agent.varl import METRICS_EVERY, VARL, GuidanceBatch

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0  # as in SB3


class StackedMLP:
    """Networks of one shape, each a Sequential of Linear, LayerNorm and ReLU; their parameters become views of it.

    Attributes:
        parameters: leaf tensors (networks, ...), one per layer's weight or bias.
    """

    def __init__(self, networks: Sequence[Any]) -> None:
        self.parameters: list[th.Tensor] = []
        self._layers: list[tuple[str, int, tuple[int, ...]]] = []
        for layers in zip(*networks, strict=True):
            kind = type(layers[0]).__name__
            if kind not in ("Linear", "LayerNorm", "ReLU"):
                raise TypeError(f"a {kind} layer cannot be stacked; expected Linear, LayerNorm and ReLU")
            self._layers.append((kind, len(self.parameters), getattr(layers[0], "normalized_shape", ())))
            if kind != "ReLU":
                self.parameters += [_stack([x.weight for x in layers]), _stack([x.bias for x in layers])]

    def __call__(self, x: th.Tensor, parameters: Sequence[th.Tensor] | None = None) -> th.Tensor:
        """(networks, n, in) to (networks, n, out)."""
        p = self.parameters if parameters is None else parameters
        for kind, i, shape in self._layers:
            if kind == "ReLU":
                x = F.relu(x)
            elif kind == "Linear":
                x = th.baddbmm(p[i + 1].unsqueeze(1), x, p[i].transpose(1, 2))
            else:
                x = F.layer_norm(x, shape) * p[i].unsqueeze(1) + p[i + 1].unsqueeze(1)
        return x


class StackedVARL:
    """The actors, critics and temperatures of ``models``, alike but for their seeds, updated together."""

    def __init__(self, models: Sequence[VARL]) -> None:
        self.models = list(models)
        first = self.models[0]
        self.k = len(self.models)
        self._trunk = StackedMLP([m.actor.latent_pi for m in self.models])
        self._mean = StackedMLP([[m.actor.mu] for m in self.models])
        self._log_std = StackedMLP([[m.actor.log_std] for m in self.models])
        self._critic = StackedMLP([m.critic.q_networks[i] for i in range(2) for m in self.models])
        self._target = StackedMLP([m.critic_target.q_networks[i] for i in range(2) for m in self.models])
        alphas = [m.log_ent_coef for m in self.models if m.log_ent_coef is not None]
        self._log_alpha = th.cat([alpha.detach() for alpha in alphas]).requires_grad_(True)
        self._alphas = alphas
        self._actor_parameters = [*self._trunk.parameters, *self._mean.parameters, *self._log_std.parameters]
        rate = first.lr_schedule(1.0)
        self._actor_adam = th.optim.Adam(self._actor_parameters, rate, fused=True)
        self._critic_adam = th.optim.Adam(self._critic.parameters, rate, fused=True)
        self._alpha_adam = th.optim.Adam([self._log_alpha], rate)
        extractor = first.actor.features_extractor
        assert isinstance(extractor, ScaledExtractor)
        self._features = extractor
        self._act_dim = self._mean.parameters[1].shape[1]
        self.updates = 0

    # --- acting -------------------------------------------------------------------------------------------------------

    def act(self, observations: np.ndarray, deterministic: bool) -> np.ndarray:
        """(k, n, obs_dim) observations to (k, n, act_dim) actions in [-1, 1]."""
        with th.no_grad():
            mean, std = self._policy(self._scaled(th.as_tensor(observations)))
            latent = mean if deterministic else mean + std * th.randn_like(mean)
            return th.tanh(latent).numpy()

    # --- learning -----------------------------------------------------------------------------------------------------

    def train(self, batch_size: int) -> None:
        """One update of every run, in the order of ``VARL.train``."""
        first = self.models[0]
        batches: list[Any] = [model.draw_batches(1, batch_size)[0] for model in self.models]
        observations = self._scaled(th.stack([b.observations for b in batches]))
        next_observations = self._scaled(th.stack([b.next_observations for b in batches]))
        actions = th.stack([b.actions for b in batches])
        rewards, dones = th.stack([b.rewards for b in batches]), th.stack([b.dones for b in batches])

        mean, std = self._policy(observations)
        actions_pi, log_prob = _sample(mean, std)
        alpha = self._log_alpha.detach().exp().view(-1, 1, 1)
        guidance = [m.guidance_batch(b.observations) for m, b in zip(self.models, batches, strict=True)]
        entropy_gap = (log_prob + float(first.target_entropy)).detach().mean(dim=(1, 2))
        most = th.tensor([float("inf") if given is None else 0.0 for given in guidance])
        entropy_gap = th.minimum(entropy_gap, most)
        _step(self._alpha_adam, -(self._log_alpha * entropy_gap).sum())

        with th.no_grad():
            next_actions, next_log_prob = _sample(*self._policy(next_observations))
            next_q = self._q(next_observations, next_actions, self._target.parameters).amin(0)
            target_q = rewards + (1 - dones) * first.gamma * (next_q - alpha * next_log_prob)
        q = self._q(observations, actions)
        _step(self._critic_adam, 0.5 * ((q - target_q) ** 2).mean(dim=(2, 3)).sum())

        frozen = [p.detach() for p in self._critic.parameters]
        actor_loss = (alpha * log_prob - self._q(observations, actions_pi, frozen).amin(0)).mean(dim=(1, 2)).sum()
        if any(g is not None for g in guidance):
            actor_loss = actor_loss + self._guidance_loss(guidance)
        _step(self._actor_adam, actor_loss)

        with th.no_grad():
            th._foreach_mul_(self._target.parameters, 1.0 - first.tau)
            th._foreach_add_(self._target.parameters, frozen, alpha=first.tau)
            for own, stacked in zip(self._alphas, self._log_alpha, strict=True):
                own.fill_(stacked)
        self.updates += 1

    def _guidance_loss(self, guidance: Sequence[GuidanceBatch | None]) -> th.Tensor:
        rows = max(
            len(g.actions) for g in guidance if g is not None
        )  # labels and plans bring batches of their own size
        observations = th.zeros(self.k, rows, len(self._features.shift))
        advice = th.zeros(self.k, rows, self._act_dim)
        share = th.zeros(self.k, rows)  # weight of a row in its run's loss; 0 where there is none
        for k, given in enumerate(guidance):
            if given is not None:
                n = len(given.actions)
                observations[k, :n], advice[k, :n], share[k, :n] = given.observations, given.actions, given.weight / n  # type: ignore[assignment]
        observations = self._scaled(observations)
        mean, std = self._policy(observations)

        def advantage() -> th.Tensor:
            greedy = self._q(observations, th.tanh(mean)).amin(0)
            return self._q(observations, advice).amin(0) - greedy

        by_gate = {gate: gate(mean, std, advice, advantage) for gate in {model.gate for model in self.models}}
        opened = th.stack([by_gate[model.gate][k] for k, model in enumerate(self.models)])
        losses = -(opened * log_prob_per_axis(mean, std, advice)).sum(dim=2)
        if self.updates % METRICS_EVERY == 0:
            for model, given, gates in zip(self.models, guidance, opened, strict=True):
                if given is not None:
                    model.guidance_metrics = {"gate_open": gates[: len(given.actions)].amax(1).mean().item()}
        return (share * losses).sum()

    def _scaled(self, observations: th.Tensor) -> th.Tensor:
        return (observations - self._features.shift) * self._features.scale

    def _policy(self, features: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        latent = self._trunk(features)
        return self._mean(latent), self._log_std(latent).clamp(LOG_STD_MIN, LOG_STD_MAX).exp()

    def _q(self, features: th.Tensor, actions: th.Tensor, parameters: Sequence[th.Tensor] | None = None) -> th.Tensor:
        """(2, k, n, 1): both critics of every run."""
        x = th.cat([features, actions], dim=2)
        return self._critic(th.cat([x, x]), parameters).unflatten(0, (2, self.k))


def _sample(mean: th.Tensor, std: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """Actions (k, n, act_dim) of the tanh-Gaussian and their log-probability (k, n, 1)."""
    noise = th.randn_like(mean)
    actions = th.tanh(mean + std * noise)
    gaussian = -0.5 * noise**2 - th.log(std) - 0.9189385332046727  # log sqrt(2 pi)
    return actions, (gaussian - th.log(1.0 - actions**2 + EPS)).sum(dim=2, keepdim=True)


def _step(adam: th.optim.Optimizer, loss: th.Tensor) -> None:
    adam.zero_grad()
    loss.backward()
    adam.step()


def _stack(parameters: Sequence[nn.Parameter]) -> th.Tensor:
    """The parameters in one leaf tensor, of which they become views."""
    stacked = th.stack([p.detach() for p in parameters]).requires_grad_(True)
    for i, parameter in enumerate(parameters):
        parameter.data = stacked.data[i]
    return stacked
