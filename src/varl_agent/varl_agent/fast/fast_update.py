r"""Soft Actor-Critic's update with its backward pass written by hand: same algorithm, same numbers, less work.

Rows are samples, B of them; e = 1e-6 is SB3's guard of the logarithm. The actor's head gives mu and l per axis j of the
action; sigma = exp(clamp(l, -20, 2)); with noise n ~ N(0, 1): u = mu + sigma n, a = tanh(u) and (Haarnoja et al. 2018,
appendix C)

    log pi(a|s) = sum_j [ -n_j^2/2 - log sigma_j - log sqrt(2 pi) - log(1 - a_j^2 + e) ].

**Temperature**, J = -log(alpha) mean(log pi + H):  dJ/d log(alpha) = -(mean log pi + H).

**Critics**, J = 1/2 sum_i mean_B (Q_i - y)^2 with y = r + gamma (1 - done) (min_i Q'_i(s', a') - alpha log pi(a'|s')):
dJ/dQ_i = (Q_i - y) / B. With Q_i = h w + b on the last hidden layer h: dJ/dw = h^T dQ, dJ/db = sum dQ, dJ/dh = dQ w^T.

**Hidden layers**, h = relu(norm(x W + b)): given D = dJ/dh, D <- D * [h > 0]; D <-
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

A network's parameters lie flat, as do their moments, so that one loop steps all of them (:mod:`.adam`). All but a tanh
is compiled (:mod:`.workspace`). For a GPU there is :mod:`.cuda_update`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.torch_layers import FlattenExtractor
from varl_common.errors import VarlError

from varl_agent.fast.coverage import check_covered, layers_of
from varl_agent.fast.flat_adam import Affine, Block, FlatAdam, FlatParameters, unchanged
from varl_agent.fast.inputs import Inputs, zeros
from varl_agent.sac.batches import Batch, in_turn
from varl_agent.sac.guidance import GuidanceBatch
from varl_agent.sac.policies import ScaledExtractor
from varl_agent.sac.tanh_gaussian import log_prob_per_axis
from varl_agent.sac.temperature import held
from varl_agent.sac.training_log import record_training
from varl_agent.sac.varl import VARL

Layers = list[list[th.Tensor]]  # as networks has it
Networks = list[list[list[Block]]]  # each its layers, each the blocks of these
LOSSES = ("actor_loss", "critic_loss", "ent_coef", "ent_coef_loss", "entropy")


class FastUpdate:
    """``VARL.train``, where all networks are MLPs: an :class:`~varl_agent.sac.update.Update`.

    The model stays whole: its modules and optimizers see every update, and can be saved, loaded and used between two.

    Raises:
        VarlError: the model's setting is not one that this covers; the message says which.
    """

    def __init__(self, model: VARL) -> None:
        self.model: Any = model
        check_covered(model)
        actor: Any = model.actor
        critic: Any = model.critic
        target: Any = model.critic_target
        stem = self._arranged([[*layers_of(actor.latent_pi), [Affine(actor.mu, actor.log_std)]]])
        twins = self._arranged([layers_of(network) for network in critic.q_networks])
        targets = self._arranged([layers_of(network) for network in target.q_networks])
        self._actor = FlatAdam(actor.optimizer, _flat(_flat(stem)))
        self._critic = FlatAdam(critic.optimizer, _flat(_flat(twins)))
        self._target = FlatParameters(_flat(_flat(targets)))
        self._temperature: FlatAdam | None = None
        if model.ent_coef_optimizer is not None and model.log_ent_coef is not None:
            self._temperature = FlatAdam(model.ent_coef_optimizer, [Block(model.log_ent_coef)])
        self._trained = [flat for flat in (self._actor, self._critic, self._temperature) if flat is not None]

        (self._stem,), (self._stem_gradient,) = (_like(v, stem) for v in (self._actor.views, self._actor.gradients))
        self._twins, self._twin_gradients = (_like(v, twins) for v in (self._critic.views, self._critic.gradients))
        self._targets = _like(self._target.views, targets)
        self._obs_dim, self._act_dim = actor.features_dim, len(actor.mu.weight)
        space, extractor = model.observation_space, actor.features_extractor
        self._plain = type(extractor) in (FlattenExtractor, ScaledExtractor) and (
            isinstance(space, spaces.Box) and space.dtype == np.float32 and len(space.shape) == 1
        )
        self._max_norm: float | None = model.max_grad_norm
        self._inputs: dict[tuple[int, int, bool], Inputs] = {}
        self._prepare()
        self._scaled = self._plain and type(extractor) is ScaledExtractor
        nothing = self._actor.value.new_zeros(self._obs_dim)
        shift, scale = (extractor.shift, extractor.scale) if self._scaled else (nothing, nothing + 1)
        self._shift, self._scale = self._array(shift), self._array(scale)

    def train(self, gradient_steps: int, batch_size: int) -> None:
        """As ``SAC.train``: ``gradient_steps`` updates, each on a batch of ``batch_size``."""
        model = self.model
        model._update_learning_rate([flat.optimizer for flat in self._trained])
        self.adopt()
        with th.inference_mode():
            self._noise = in_turn(lambda n: self._noises(n, batch_size), gradient_steps)
            total: Any = 0.0
            for step, (batch, guidance) in enumerate(model.sampler.batches(gradient_steps, batch_size)):
                total = total + self._one(batch, guidance, step % model.target_update_interval == 0)
        model._n_updates += gradient_steps
        self._record(total, gradient_steps)

    def adopt(self) -> None:
        """Let the model's parameters, and what its optimizers hold, lie in the flat buffers."""
        for flat in (*self._trained, self._target):
            flat.adopt()

    def _record(self, total: Any, updates: int) -> None:
        """Log the mean losses of so many updates, given their sum."""
        losses = dict(zip(LOSSES, (total / updates).tolist(), strict=True))
        if self._temperature is None:
            del losses["ent_coef_loss"]
        record_training(self.model, losses)

    def _one(self, batch: Batch, guidance: GuidanceBatch | None, follow: bool) -> Any:
        """One update, in which the targets follow the critics or not; its losses, in the order of ``LOSSES``."""
        inputs = self._load(batch, guidance)
        losses, *policy = self._update(inputs, guidance, follow)
        if guidance is not None and self.model.guidance_metrics.due(self.model._n_updates):
            mean, std, gate = (th.as_tensor(part) for part in policy)
            bc_loss = -(gate * log_prob_per_axis(mean, std, guidance.actions)).sum(dim=1).mean()
            self.model.note_guidance(guidance, mean, gate, bc_loss)
        return losses

    def _load(self, batch: Batch, guidance: Any) -> Inputs:
        """Copy the batch to where the update reads it."""
        rows = len(batch.rewards)
        advised = 0 if guidance is None else len(guidance.actions)
        shared = guidance is not None and guidance.observations is batch.observations
        key = (rows, advised, shared)
        if key not in self._inputs:
            self._inputs[key] = Inputs(*key, self._obs_dim, self._act_dim, self._zeros)
        inputs = self._inputs[key]
        self._place(batch, inputs)
        if guidance is not None:
            self._place_advice(guidance, inputs, shared)
            inputs.pull[...] = guidance.weight / advised
            inputs.hold[...] = guidance.hold
        return inputs

    def _unscaled(self, observations: Any) -> Any:
        """The features, before what a ScaledExtractor does."""
        actor = self.model.actor
        plain = self._plain
        return self._array(observations if plain else actor.extract_features(observations, actor.features_extractor))

    def _discounts(self, batch: Batch) -> Any:
        """(B, 1) or a number, as the transitions go on."""
        return self.model.gamma if batch.discounts is None else self._array(batch.discounts)

    # --- the update on a CPU ------------------------------------------------------------------------------------------

    _zeros = staticmethod(zeros)

    def _place(self, batch: Batch, inputs: Inputs) -> None:
        """Copy the batch of the replay to where the update reads it, in one pass."""
        array, observations = self._array, self._unscaled(batch.observations)
        inputs.step_discounts[...] = self._discounts(batch)
        self._elementwise.place(
            self._unscaled(batch.next_observations), observations, self._shift, self._scale, array(batch.actions),
            array(batch.rewards), array(batch.dones), inputs.step_discounts,
            inputs.policy, inputs.data, inputs.rewards, inputs.discounts,
        )  # fmt: skip

    def _place_advice(self, guidance: Any, inputs: Inputs, shared: bool) -> None:
        """The same for advice, and its states where these are not the batch's own."""
        states = inputs.policy[:0] if shared else self._unscaled(guidance.observations)
        into = inputs.policy[inputs.advised]
        self._elementwise.place_advice(states, self._shift, self._scale, guidance.actions.numpy(), into, inputs.advice)

    def _noises(self, count: int, rows: int) -> list[np.ndarray]:
        """The noise of ``count`` updates: one after the other, while the generator is in the cache."""
        noise = th.empty(count, 2 * rows, self._act_dim)
        for one in noise:
            for part in (one[rows:], one[:rows]):  # SB3 draws that of s before that of s'
                part.normal_()
        return list(noise.numpy())

    @staticmethod
    def _array(tensor: th.Tensor) -> Any:
        return tensor.numpy()

    @staticmethod
    def _arranged(networks: Networks) -> Networks:
        """The networks that are computed together, as they are to lie in memory."""
        return networks

    def _prepare(self) -> None:
        """Compile, or load what was compiled before, so that no update has to wait for that."""
        if self._actor.value.device.type != "cpu":
            raise VarlError("the fast update runs on the CPU; give device='cpu', or use update='autograd'")
        from varl_agent.fast import elementwise  # here, as they need numba: a GPU's update does without
        from varl_agent.fast.workspace import Workspace

        self._elementwise, self._workspace = elementwise, Workspace
        if self._temperature is not None:
            self._log_alpha = self._temperature.value.numpy()
        work = Workspace(self, Inputs(2, 1, True, self._obs_dim, self._act_dim))
        with unchanged(*self._trained, self._target):
            work.act()
            work.critics_step(1.0, 0.0)
            work.temperature_step(0.0)
            work.actor_step(1.0, 0, 0.0)

    def _update(self, inputs: Inputs, guidance: Any, follow: bool) -> tuple[Any, ...]:
        """The losses; with guidance also the policy's mean and deviation and the gates on it, (m, act_dim) each."""
        inputs.noise[:] = next(self._noise)
        work = inputs.work = inputs.work or self._workspace(self, inputs)
        log_alpha = None if self._temperature is None else float(self._log_alpha[0])
        alpha = self.model.ent_coef_tensor.item() if log_alpha is None else math.exp(log_alpha)
        work.act()
        critic_loss, log_pi = work.critics_step(alpha, self.model.tau if follow else 0.0)
        alpha_loss = 0.0
        if self._temperature is not None and log_alpha is not None:
            surplus = log_pi + self.model.target_entropy
            alpha_loss = -log_alpha * surplus
            with held(self._temperature.value[:1], surplus, guidance) as steps:
                if steps:
                    work.temperature_step(-surplus)
        advised: tuple[np.ndarray, ...] = ()
        gate, threshold = -1, 0.0
        if guidance is not None:
            advised = work.mean[inputs.advised], work.std[inputs.advised], work.gate_weights
            gate, threshold = self._gate(*advised, inputs, guidance)
        q = work.actor_step(alpha, gate, threshold)
        return (np.array([alpha * log_pi - q, critic_loss, alpha, alpha_loss, -log_pi]), *advised)

    def _gate(
        self, mean: np.ndarray, std: np.ndarray, gate_weights: np.ndarray, inputs: Inputs, guidance: Any
    ) -> tuple[int, float]:
        """The compiled gate to be used on the policy's mean and deviation, (m, act_dim), in the advised states, and its
        threshold; -1 where there is none, and its weights are in ``gate_weights``."""
        gate, known = self.model._gate, self._elementwise.GATES
        if gate.name in known:
            return known.index(gate.name), gate.threshold
        policy = th.from_numpy(mean), th.from_numpy(std)
        weights = gate(*policy, th.from_numpy(inputs.advice), lambda: self.model.advantage(guidance, policy[0]))
        gate_weights[:] = weights.numpy()
        return -1, 0.0


def _like(views: list[th.Tensor], networks: Networks) -> list[Layers]:
    """The views, in their order, grouped as the networks' blocks are."""
    rest = iter(views)
    return [[[next(rest) for _ in layer] for layer in network] for network in networks]


def _flat(groups: list[list[Any]]) -> list[Any]:
    return [item for items in groups for item in items]
