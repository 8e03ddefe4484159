r"""Soft Actor-Critic's update with its backward pass written by hand: same algorithm, same numbers, less work.

Rows are samples, B of them; e = 1e-6 is SB3's guard of the logarithm. The actor's head gives mu and l per axis j of the
action; sigma = exp(clamp(l, -20, 2)); with noise n ~ N(0, 1): u = mu + sigma n, a = tanh(u) and (Haarnoja et al. 2018,
appendix C)

    log pi(a|s) = sum_j [ -n_j^2/2 - log sigma_j - log sqrt(2 pi) - log(1 - a_j^2 + e) ].

**Temperature**, J = -log(alpha) mean(log pi + H):  dJ/d log(alpha) = -(mean log pi + H).

**Critics**, J = 1/2 sum_i mean_B (Q_i - y)^2 with y = r + gamma (1 - done) (min_i Q'_i(s', a') - alpha log pi(a'|s')):
dJ/dQ_i = (Q_i - y) / B. With Q_i = h w + b on the last hidden layer h: dJ/dw = h^T dQ, dJ/db = sum dQ, dJ/dh = dQ w^T.

**Hidden layers** (:mod:`varl_agent.hidden_layers`), h = relu(norm(x W + b)): given D = dJ/dh, D <- D * [h > 0]; D <-
through the LayerNorm, if there is one; then dJ/dW = x^T D, dJ/db = sum_B D, dJ/dx = D W^T.

**Actor**, J = mean_B( alpha log pi(a|s) - min_i Q_i(s, a) ). With n given, log pi depends on mu through a alone:

    g = -d log(1 - a^2 + e)/du = 2 a (1 - a^2) / (1 - a^2 + e),    d log pi/d mu = g,    d log pi/dl = g sigma n - 1,
    dJ/d mu = [ alpha g - (1 - a^2) dQ/da ] / B,                   dJ/dl = sigma n dJ/d mu - alpha / B,

dJ/dl only where the clamp lets l through. dQ/da is that of the smaller critic of a row, so each row passes back through
one critic only, which is exact and half the work.

**Guidance**, J += lambda 1/m sum_m sum_j w_j * -log pi_j(b|s) with m advised states, advised actions b and gate weights
w; with z = (atanh(b) - mu) / sigma:

    dJ/d mu = -lambda/m w z / sigma,    dJ/dl = lambda/m w (1 - z^2).

Rows all of whose gates are closed have no gradient and are left out of the backward pass. The actor's forward passes of
s', s and the advised states are one, because its weights change only at the end of an update.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch as th
from stable_baselines3 import SAC
from stable_baselines3.common.type_aliases import DictReplayBufferSamples, ReplayBufferSamples
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN
from varl_common.errors import VarlError

from varl_agent.flat_adam import Block, FlatAdam, FlatParameters
from varl_agent.gates import EPS, log_prob_per_axis
from varl_agent.hidden_layers import HiddenLayers, Layer, group, layer_blocks

Batch = ReplayBufferSamples | DictReplayBufferSamples
LOSSES = ("actor_loss", "critic_loss", "ent_coef", "ent_coef_loss")
LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


class Critic:
    """Q(s, a): hidden layers and a linear head, with the head's gradients where it is trained."""

    def __init__(self, layers: list[Layer], gradients: list[Layer]) -> None:
        self.hidden, self.head = HiddenLayers(layers[:-1], gradients[:-1]), layers[-1]
        self._gradients = gradients

    def forward(self, x: th.Tensor) -> th.Tensor:
        """x (n, obs_dim + act_dim) to Q (n,)."""
        return th.addmv(self.head.bias, self.hidden.forward(x), self.head.weight[0])

    def backward(self, d: th.Tensor, x: th.Tensor) -> None:
        """Gradients of the parameters for d = dJ/dQ, (n,), at the input x of the last forward pass."""
        gradient = self._gradients[-1]
        th.mv(self.hidden.kept[-1].output.t(), d, out=gradient.weight[0])
        th.sum(d, 0, keepdim=True, out=gradient.bias)
        self.hidden.backward(th.outer(d, self.head.weight[0]), x)


@dataclass
class Policy:
    """The policy on all rows of the actor's input, and its actions on those of s' and s: (act_dim, n); log_pi (n,)."""

    mean: th.Tensor
    std: th.Tensor
    free: th.Tensor  # whether the clamp lets l through
    stretched: th.Tensor  # sigma n
    action: th.Tensor
    log_pi: th.Tensor


class Inputs:
    """Where an update reads its batch of B rows and m advised states; their addresses stay.

    ``actor`` has the rows s' (B), s (B) and the advised states (m, unless these are s itself: ``shared``). ``next``,
    ``data`` and ``pi`` are the critics' inputs (s', a'), (s, a of the replay) and (s, a drawn now).
    """

    def __init__(self, rows: int, advised: int, shared: bool, obs_dim: int, act_dim: int, device: th.device) -> None:
        def new(*shape: int) -> th.Tensor:
            return th.zeros(shape, device=device)

        self.rows, self.advised = rows, slice(rows, 2 * rows) if shared else slice(2 * rows, 2 * rows + advised)
        self.actor = new(self.advised.stop, obs_dim)
        self.next, self.data, self.pi = (new(rows, obs_dim + act_dim) for _ in range(3))
        self.rewards, self.discounts, self.noise = new(rows), new(rows), new(2 * rows, act_dim)
        self.advice, self.pull = new(advised, act_dim), new()


class FastUpdate:
    """``train`` of a Stable-Baselines3 SAC, or of VARL, whose networks are MLPs.

    The model stays whole: its modules and optimizers see every update, and can be saved, loaded and used between two.
    ``dense``: no shape depends on data, as a CUDA graph needs; on a CPU the sparse way is faster.

    Raises:
        VarlError: the model's setting is not one that this covers; the message says which.
    """

    def __init__(self, model: SAC, dense: bool = False) -> None:
        _check(model)
        self.model: Any = model
        self.dense = dense
        actor: Any = model.actor
        stem = layer_blocks(actor.latent_pi)
        heads = [[Block((actor.mu.weight, actor.log_std.weight)), Block((actor.mu.bias, actor.log_std.bias))]]
        self._actor = FlatAdam(actor.optimizer, _flat(stem + heads))
        weights, gradients = group(self._actor.views, stem + heads), group(self._actor.gradients, stem + heads)
        self._stem, self._head = HiddenLayers(weights[:-1], gradients[:-1]), weights[-1]
        self._head_gradient = gradients[-1]

        twins = [layer_blocks(network) for network in self.model.critic.q_networks]
        targets = [layer_blocks(network) for network in self.model.critic_target.q_networks]
        self._critic = FlatAdam(self.model.critic.optimizer, _flat(_flat(twins)))
        self._target = FlatParameters(_flat(_flat(targets)))
        self._critics = _critics(twins, self._critic.views, self._critic.gradients)
        self._targets = _critics(targets, self._target.views, [])

        self._temperature = None
        if model.ent_coef_optimizer is not None and model.log_ent_coef is not None:
            self._temperature = FlatAdam(model.ent_coef_optimizer, [Block((model.log_ent_coef,))])  # type: ignore[arg-type]
        self._obs_dim, self._act_dim = actor.features_dim, len(actor.mu.weight)
        self._inputs: dict[tuple[int, int, bool], Inputs] = {}

    def train(self, gradient_steps: int, batch_size: int) -> None:
        """As ``SAC.train``: ``gradient_steps`` updates, each on a batch of ``batch_size``."""
        model = self.model
        trained = [flat for flat in (self._actor, self._critic, self._temperature) if flat is not None]
        model._update_learning_rate([flat.optimizer for flat in trained])
        self.adopt()
        with th.inference_mode():
            total = self._actor.value.new_zeros(len(LOSSES))
            for step in range(gradient_steps):
                total += self._one(*self._sample(batch_size))
                if step % model.target_update_interval == 0:
                    self._target.value.lerp_(self._critic.value, model.tau)
        model._n_updates += gradient_steps
        losses = dict(zip(LOSSES, (total / gradient_steps).tolist(), strict=True))
        if self._temperature is None:
            del losses["ent_coef_loss"]
        self._record(losses)

    def adopt(self) -> None:
        """Let the model's parameters, and what its optimizers hold, lie in the flat buffers."""
        for flat in (self._actor, self._critic, self._temperature, self._target):
            if flat is not None:
                flat.adopt()

    # --- around an update ---------------------------------------------------------------------------------------------

    def _sample(self, batch_size: int) -> tuple[Batch, Any]:
        """A batch of the replay, and the guidance batch beside it (None: plain SAC)."""
        model = self.model
        if not hasattr(model, "guidance_batch"):
            return model.replay_buffer.sample(batch_size, env=model._vec_normalize_env), None
        batch = model.sample_batch(batch_size)
        return batch, model.guidance_batch(batch.observations)

    def _record(self, losses: dict[str, float]) -> None:
        model = self.model
        if hasattr(model, "record_training"):
            model.record_training(losses)
            return
        model.logger.record("train/n_updates", model._n_updates, exclude="tensorboard")
        for name, value in losses.items():
            model.logger.record(f"train/{name}", value)

    def _one(self, batch: Batch, guidance: Any) -> th.Tensor:
        """One update but for the targets; its losses, in the order of ``LOSSES``."""
        inputs = self._load(batch, guidance)
        losses, *advised = self._update(inputs, guidance)
        model = self.model
        if guidance is not None and model.metrics_due():
            mean, std, opened = advised
            bc_loss = -(opened * log_prob_per_axis(mean, std, guidance.actions)).sum(dim=1).mean()
            model.note_guidance(guidance, mean, opened, bc_loss.item())
        return losses

    def _load(self, batch: Batch, guidance: Any) -> Inputs:
        """Copy the batch to where the update reads it."""
        rows = len(batch.rewards)
        advised = 0 if guidance is None else len(guidance.actions)
        shared = guidance is not None and guidance.observations is batch.observations
        key = (rows, advised, shared)
        if key not in self._inputs:
            self._inputs[key] = Inputs(*key, self._obs_dim, self._act_dim, self._actor.value.device)
        inputs = self._inputs[key]
        for source, at, critics in (
            (batch.next_observations, 0, (inputs.next,)),
            (batch.observations, rows, (inputs.data, inputs.pi)),
        ):
            features = inputs.actor[at : at + rows].copy_(self._features(source))
            for x in critics:
                x[:, : self._obs_dim] = features
        inputs.data[:, self._obs_dim :] = batch.actions
        inputs.rewards.copy_(batch.rewards.flatten())
        discounts = self.model.gamma if batch.discounts is None else batch.discounts
        inputs.discounts.copy_(((1 - batch.dones) * discounts).flatten())
        if guidance is not None:
            if not shared:
                inputs.actor[inputs.advised] = self._features(guidance.observations)
            inputs.advice.copy_(guidance.actions)
            inputs.pull.fill_(guidance.weight / advised)
        return inputs

    def _features(self, observations: Any) -> th.Tensor:
        return self.model.actor.extract_features(observations, self.model.actor.features_extractor)

    # --- the update ---------------------------------------------------------------------------------------------------

    def _update(self, inputs: Inputs, guidance: Any) -> tuple[th.Tensor, ...]:
        """The losses; with guidance also the policy's mean and deviation and the gates on it, (m, act_dim) each."""
        rows, obs_dim = inputs.rows, self._obs_dim
        policy = self._act(inputs)
        log_pi = policy.log_pi[rows:].mean()

        if self._temperature is None:
            alpha, alpha_loss = self.model.ent_coef_tensor.view(()), log_pi
        else:
            log_alpha, surplus = self._temperature.value[0].clone(), log_pi + self.model.target_entropy
            alpha, alpha_loss = log_alpha.exp(), -log_alpha * surplus
            th.neg(surplus, out=self._temperature.gradient[0])
            self._temperature.step()

        inputs.next[:, obs_dim:] = policy.action[:, :rows].t()
        next_q = th.minimum(*(target.forward(inputs.next) for target in self._targets))
        target_q = inputs.rewards + inputs.discounts * (next_q - alpha * policy.log_pi[:rows])
        critic_loss = th.zeros_like(log_pi)
        for critic in self._critics:
            error = critic.forward(inputs.data) - target_q
            critic_loss += 0.5 * error.square().mean()
            critic.backward(error / rows, inputs.data)
        self._critic.step()

        inputs.pi[:, obs_dim:] = policy.action[:, rows:].t()
        q = [critic.forward(inputs.pi) for critic in self._critics]
        actor_loss = alpha * log_pi - th.minimum(*q).mean()
        d = self._policy_gradient(inputs, policy, alpha, self._action_gradient(q))
        advised: tuple[th.Tensor, ...] = ()
        end = 2 * rows
        if guidance is not None:
            mean, std = policy.mean[:, inputs.advised], policy.std[:, inputs.advised]
            opened = self._gates(mean.t(), std.t(), inputs, guidance)
            pull = self._guidance_gradient(mean, std, policy.free[:, inputs.advised], opened, inputs)
            if inputs.advised.start == rows:
                d += pull
            else:
                if not self.dense:
                    pulled = opened.any(dim=1).nonzero().squeeze(1)
                    pull = pull[:, pulled]
                    self._stem.compact(2 * rows, pulled)
                    inputs.actor[end : end + len(pulled)] = inputs.actor[end:][pulled]
                end += pull.shape[1]
                d = th.cat([d, pull], dim=1)
            advised = (mean.t(), std.t(), opened)
        self._stem.keep(slice(rows, end))
        th.mm(d, self._stem.kept[-1].output, out=self._head_gradient.weight)
        th.sum(d, 1, out=self._head_gradient.bias)
        self._stem.backward(d.t() @ self._head.weight, inputs.actor[rows:end])
        self._actor.step()
        return (th.stack([actor_loss, critic_loss, alpha, alpha_loss]), *advised)

    def _act(self, inputs: Inputs) -> Policy:
        """Forward pass of the actor on all its rows, and actions drawn on those of s' and s."""
        rows = inputs.rows
        h = self._stem.forward(inputs.actor)
        mean, raw = th.addmm(self._head.bias[:, None], self._head.weight, h.t()).split(self._act_dim)
        log_std = raw.clamp(LOG_STD_MIN, LOG_STD_MAX)
        std = log_std.exp()
        for half in (slice(rows, None), slice(0, rows)):  # SB3 draws for s before s'
            inputs.noise[half].normal_()
        noise = inputs.noise.t().contiguous()
        stretched = std[:, : 2 * rows] * noise
        action = (mean[:, : 2 * rows] + stretched).tanh_()
        terms = noise.square_().mul_(0.5).add_(log_std[:, : 2 * rows]).add_((1 - action * action).add_(EPS).log_())
        log_pi = -(terms.sum(0) + self._act_dim * LOG_SQRT_2PI)
        return Policy(mean, std, raw == log_std, stretched, action, log_pi)

    def _action_gradient(self, q: list[th.Tensor]) -> th.Tensor:
        """d min_i Q_i / da of the last forward passes, (B, act_dim), given their values."""
        columns, first = slice(self._obs_dim, None), q[0] <= q[1]
        if self.dense:
            a, b = (
                critic.hidden.input_gradient(chosen[:, None] * critic.head.weight, columns)
                for critic, chosen in zip(self._critics, (first, ~first), strict=True)
            )
            return a + b
        gradient = first.new_empty(len(first), self._act_dim, dtype=th.float32)
        for critic, chosen in zip(self._critics, (first, ~first), strict=True):
            rows = chosen.nonzero().squeeze(1)
            critic.hidden.keep(rows)
            gradient[rows] = critic.hidden.input_gradient(critic.head.weight, columns)
        return gradient

    def _policy_gradient(self, inputs: Inputs, policy: Policy, alpha: th.Tensor, dq_da: th.Tensor) -> th.Tensor:
        """dJ/d(mu, l) on the rows of s, (2 act_dim, B), of SAC's own objective."""
        on = slice(inputs.rows, 2 * inputs.rows)
        action, scale = policy.action[:, on], alpha / inputs.rows
        slope = 1 - action * action
        d_mean = slope * (2 * scale * action / (slope + EPS) - dq_da.t() / inputs.rows)
        d_log_std = (d_mean * policy.stretched[:, on] - scale) * policy.free[:, on]
        return th.cat([d_mean, d_log_std])

    def _gates(self, mean: th.Tensor, std: th.Tensor, inputs: Inputs, guidance: Any) -> th.Tensor:
        """The gates' weights (m, act_dim) for the policy's mean and deviation, (m, act_dim), in the advised states."""
        model = self.model
        return model.gate(mean, std, inputs.advice, lambda: model.advantage(guidance, mean))

    @staticmethod
    def _guidance_gradient(
        mean: th.Tensor, std: th.Tensor, free: th.Tensor, opened: th.Tensor, inputs: Inputs
    ) -> th.Tensor:
        """dJ/d(mu, l) of guidance on the advised rows, (2 act_dim, m); all arguments but the gates are (act_dim, m)."""
        weight = opened.t() * inputs.pull
        z = (inputs.advice.t().atanh() - mean) / std
        return th.cat([-weight * z / std, weight * (1 - z * z) * free])


def _flat(groups: list[list[Any]]) -> list[Any]:
    return [item for items in groups for item in items]


def _critics(like: list[list[list[Block]]], views: list[th.Tensor], gradients: list[th.Tensor]) -> list[Critic]:
    """The critics whose blocks lie one after the other in ``views``, and so their gradients, where there are any."""
    found = []
    for layers in like:
        size = sum(len(blocks) for blocks in layers)
        found.append(Critic(group(views[:size], layers), group(gradients[:size], layers) if gradients else []))
        views, gradients = views[size:], gradients[size:]
    return found


def _check(model: SAC) -> None:
    """Refuse what the update does not cover, beside the networks' layers (:func:`layer_blocks` sees to these)."""
    optimizers = [model.actor.optimizer, model.critic.optimizer, model.ent_coef_optimizer]
    adams = [optimizer for optimizer in optimizers if optimizer is not None]
    extractors = (model.actor.features_extractor, model.critic.features_extractor)
    trained = [p for extractor in extractors for p in extractor.parameters()]
    reasons = {
        "state-dependent exploration (use_sde)": model.use_sde,
        f"{len(model.critic.q_networks)} critics instead of 2": len(model.critic.q_networks) != 2,
        "a features extractor with parameters": bool(trained),
        "an optimizer other than torch.optim.Adam": any(type(o) is not th.optim.Adam for o in adams),
        "Adam with amsgrad or maximize": any(o.defaults.get(name) for o in adams for name in ("amsgrad", "maximize")),
        "parameter groups": any(len(o.param_groups) != 1 for o in adams),
        "parameters that are not float32": any(p.dtype != th.float32 for p in model.policy.parameters()),
    }
    for reason, holds in reasons.items():
        if holds:
            raise VarlError(f"the fast update does not cover {reason}; use update='autograd'")
