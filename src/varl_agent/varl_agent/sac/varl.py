"""VARL: Soft Actor-Critic that a vision-language model advises (Wu, Zhao, Zhang, Hu, arXiv 2509.21126).

A few times in a run the agent shows an advisor some of its recent moments and asks what it would have done. The answers
form a guidance buffer G. While guidance lasts, the actor minimises, over replay D and G,

    E_D[ alpha log pi(a|s) - min_i Q_i(s, a) ] + lambda E_G[ sum_j gate_j(s, a_adv) * -log pi_j(a_adv|s) ],

j running over the action's axes; afterwards the first term alone. Critics, temperature and targets are SAC's own, and
the reward is never touched. Where an answer is a plan, G is the replay batch itself, each state labelled by the plan.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch as th
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.utils import obs_as_tensor, polyak_update
from torch.distributions import Normal
from varl_common.config import did_you_mean
from varl_common.errors import VarlError, expect

from varl_agent.sac.advised import AdvisedSAC
from varl_agent.sac.batches import AT_ONCE, Batch, in_turn, parted
from varl_agent.sac.gates import log_prob_per_axis, make_gate
from varl_agent.sac.policies import VARLCnnPolicy, VARLMultiInputPolicy, VARLPolicy

Tensors = th.Tensor | dict[str, th.Tensor]
UPDATES = ("auto", "autograd", "fast")
METRICS_EVERY = 100  # updates between two looks at what guidance does: they cost extra passes through the networks


@dataclass
class GuidanceBatch:
    """What the actor is guided by in one gradient step.

    Attributes:
        observations: (m, ...) as the policy takes them; of a plan, the replay batch's own observations (the same
            object), so that their forward pass can be shared.
        actions: (m, act_dim) advised, inside (-1, 1).
        weight: lambda times the cutoff's factor.
    """

    observations: Tensors
    actions: th.Tensor
    weight: float


class VARL(AdvisedSAC):
    """SAC with an action advisor. Takes SAC's arguments, those of :class:`AdvisedSAC` and these:

    Args:
        gate, gate_threshold: where advice still pulls (:mod:`varl_agent.sac.gates`).
        guidance_weight: lambda.
        guidance_batch_size: states of G in a gradient step; a plan labels the whole replay batch.
        max_grad_norm: to which each optimizer's gradient (actor, critics, temperature) is scaled down before its step
            where its 2-norm over all parameters is larger (``torch.nn.utils.clip_grad_norm_``); None: never.
        update: "autograd" (this file), "fast" (:mod:`varl_agent.fast`),
            "auto": fast where it can be.
        bf16: the fast update on a GPU computes its matrix products in bfloat16.

    The fast update is ``FastUpdate(model)`` or ``CudaUpdate(model)``, which raise VarlError where the setting is not
    theirs, with ``train(gradient_steps, batch_size)`` in place of the loop below. Each of its steps takes one of
    ``batches``, then calls ``gate`` on its own forward pass of the guidance batch (None: plain SAC), and
    ``note_guidance`` where ``metrics_due``; it ends with ``record_training``.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": VARLPolicy,
        "CnnPolicy": VARLCnnPolicy,
        "MultiInputPolicy": VARLMultiInputPolicy,
    }

    def __init__(
        self,
        policy: str | type[VARLPolicy],
        env: GymEnv | str | None,
        *args: Any,
        gate: str = "axis",
        gate_threshold: float | None = None,
        guidance_weight: float = 10.0,
        guidance_batch_size: int = 64,
        max_grad_norm: float | None = None,
        update: str = "auto",
        bf16: bool = False,
        **kwargs: Any,
    ) -> None:
        if update not in UPDATES:
            raise VarlError(f"unknown update {update!r}; {did_you_mean(update, list(UPDATES))}")
        limit = "a positive number, or None for no clipping"
        expect(max_grad_norm is None or max_grad_norm > 0, "max_grad_norm", max_grad_norm, limit)
        expect(guidance_weight >= 0, "guidance_weight", guidance_weight, "0 or more")
        expect(guidance_batch_size >= 1, "guidance_batch_size", guidance_batch_size, "1 or more")
        self.gate = make_gate(gate, gate_threshold)
        self.guidance_weight = guidance_weight
        self.guidance_batch_size = guidance_batch_size
        self.max_grad_norm = max_grad_norm
        self.update = update
        self.bf16 = bf16
        super().__init__(policy, env, *args, **kwargs)

    def _setup_model(self) -> None:
        super()._setup_model()
        if self.bf16 and (self.device.type != "cuda" or self.update == "autograd"):
            raise VarlError("bf16 is for the fast update on a GPU; give device='cuda' and update='auto', or bf16=False")
        self.guidance_metrics: dict[str, float] = {}
        self._looked_at = 0  # the update of these
        self._fast_update: Any = None

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_fast_update"]

    def _setup_learn(self, *args: Any, **kwargs: Any) -> Any:
        # The fast update moves the weights in memory, on which the last bit of a matrix product depends: before the
        # first action, so that a run that is resumed acts exactly as one that was not stopped.
        fast = self._fast()
        if fast is not None:
            fast.adopt()
        return super()._setup_learn(*args, **kwargs)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """``gradient_steps`` updates of critic, temperature and actor, each on a batch of ``batch_size``."""
        fast = self._fast()
        if fast is not None:
            fast.train(gradient_steps, batch_size)
            return
        self.policy.set_training_mode(True)
        optimizers = [self.actor.optimizer, self.critic.optimizer]
        if self.ent_coef_optimizer is not None:
            optimizers.append(self.ent_coef_optimizer)
        self._update_learning_rate(optimizers)
        losses: dict[str, list[float]] = defaultdict(list)

        for gradient_step, (batch, guidance) in enumerate(self.batches(gradient_steps, batch_size)):
            discount = self.gamma if batch.discounts is None else batch.discounts
            if self.use_sde:
                self.actor.reset_noise()
            actions_pi, log_prob = self.actor.action_log_prob(batch.observations)
            log_prob = log_prob.reshape(-1, 1)

            # Temperature. Where advice narrows the policy it does not rise: the bonus for entropy could not widen that
            # before guidance ends, and would then be worth more than success.
            if self.ent_coef_optimizer is not None and self.log_ent_coef is not None:
                alpha = th.exp(self.log_ent_coef.detach())
                surplus = (log_prob + float(self.target_entropy)).detach().mean()
                losses["ent_coef_loss"].append(-(alpha.log() * surplus).item())
                wanted = surplus if guidance is None else surplus.clamp(max=0.0)
                self._step(self.ent_coef_optimizer, -(self.log_ent_coef * wanted).mean())
            else:
                alpha = self.ent_coef_tensor
            losses["ent_coef"].append(alpha.item())
            losses["entropy"].append(-log_prob.detach().mean().item())

            # Critics.
            with th.no_grad():
                next_actions, next_log_prob = self.actor.action_log_prob(batch.next_observations)
                next_q = th.cat(self.critic_target(batch.next_observations, next_actions), dim=1).amin(1, keepdim=True)
                soft_value = next_q - alpha * next_log_prob.reshape(-1, 1)
                target_q = batch.rewards + (1 - batch.dones) * discount * soft_value
            critic_loss = 0.5 * sum(F.mse_loss(q, target_q) for q in self.critic(batch.observations, batch.actions))
            assert isinstance(critic_loss, th.Tensor)
            self._step(self.critic.optimizer, critic_loss)
            losses["critic_loss"].append(critic_loss.item())

            # Actor: SAC's objective, and the pull of the advice.
            q_pi = th.cat(self.critic(batch.observations, actions_pi), dim=1).amin(1, keepdim=True)
            actor_loss = (alpha * log_prob - q_pi).mean()
            losses["actor_loss"].append(actor_loss.item())
            if guidance is not None:
                actor_loss = actor_loss + self._guidance_loss(guidance)
            self._step(self.actor.optimizer, actor_loss)

            # Targets.
            if gradient_step % self.target_update_interval == 0:
                polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)
                polyak_update(self.batch_norm_stats, self.batch_norm_stats_target, 1.0)

        self._n_updates += gradient_steps
        self.record_training({name: float(np.mean(values)) for name, values in losses.items()})

    def _step(self, optimizer: th.optim.Optimizer, loss: th.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        if self.max_grad_norm is not None:
            th.nn.utils.clip_grad_norm_((p for g in optimizer.param_groups for p in g["params"]), self.max_grad_norm)
        optimizer.step()

    def _guidance_loss(self, guidance: GuidanceBatch) -> th.Tensor:
        """weight * E_G[ sum_j gate_j * -log pi_j(a_adv|s) ]."""
        policy = self._gaussian(guidance.observations)
        opened = self.gate(policy.mean, policy.stddev, guidance.actions, lambda: self.advantage(guidance, policy.mean))
        bc_loss = -(opened * log_prob_per_axis(policy.mean, policy.stddev, guidance.actions)).sum(dim=1).mean()
        if self.metrics_due():
            self.note_guidance(guidance, policy.mean.detach(), opened, bc_loss.item())
        return guidance.weight * bc_loss

    def batches(self, count: int, batch_size: int) -> Iterator[tuple[Batch, GuidanceBatch | None]]:
        """For ``count`` updates each a batch of the replay and what the actor is guided by beside it. Of images they
        are drawn one at a time, as many would fill the memory."""
        at_once = 1 if isinstance(self.observation_space, spaces.Dict) else AT_ONCE

        def draw(n: int) -> list[tuple[Batch, GuidanceBatch | None]]:
            drawn = self.draw_batches(n, batch_size)
            return list(zip(drawn, self.guidance_batches(drawn), strict=True))

        return in_turn(draw, count, at_once)

    def guidance_batches(self, batches: list[Batch]) -> list[GuidanceBatch | None]:
        """What to be guided by beside each of these batches of the replay; None: nothing (any more)."""
        n, weight = len(batches), self.guidance_weight * self.cutoff.factor(self.num_timesteps)
        if weight == 0.0 or not (self.guidance.plans or self.guidance.used):
            self.guidance_metrics = {}  # what was seen last is no longer so
            return [None] * n
        if self.guidance.plans:
            scene = self.scene
            assert scene is not None  # plans are taken in only where there is one
            observations = [batch.observations for batch in batches]
            states = np.concatenate([self._states(part) for part in observations])
            actions = self.guidance.label(states, scene)
        else:
            drawn, actions = self.guidance.sample(n * self.guidance_batch_size)
            assert self.replay_buffer is not None
            drawn = self.replay_buffer._normalize_obs(drawn, self._vec_normalize_env)
            observations = parted(obs_as_tensor(drawn, self.device), n)
        parts = zip(observations, parted(th.as_tensor(actions, device=self.device), n), strict=True)
        return [GuidanceBatch(*part, weight) for part in parts]

    def advantage(self, guidance: GuidanceBatch, mean: th.Tensor) -> th.Tensor:
        """(m, 1): min_i Q_i(s, a_adv) - min_i Q_i(s, tanh(mean)), for the policy's mean before the tanh."""
        with th.no_grad():
            advised = th.cat(self.critic(guidance.observations, guidance.actions), dim=1).amin(1, keepdim=True)
            greedy = th.cat(self.critic(guidance.observations, th.tanh(mean)), dim=1).amin(1, keepdim=True)
        return advised - greedy

    def metrics_due(self) -> bool:
        """Whether the present update is one at which guidance is looked at closely: at most one a ``train``."""
        return self._n_updates >= self._looked_at + METRICS_EVERY or not self.guidance_metrics

    def note_guidance(self, guidance: GuidanceBatch, mean: th.Tensor, opened: th.Tensor, bc_loss: float) -> None:
        """Keep what guidance does now in ``guidance_metrics``, for the log and the learner's status."""
        self._looked_at = self._n_updates
        axes = {f"gate_open_axis_{j}": share for j, share in enumerate(opened.mean(dim=0).tolist())}
        self.guidance_metrics = {
            "gate_open": opened.amax(dim=1).mean().item(),
            **axes,
            "bc_loss": bc_loss,
            "weight": guidance.weight,
            "advantage": self.advantage(guidance, mean).mean().item(),
            "age": self.guidance.age(self.num_timesteps),
        }

    def record_training(self, losses: dict[str, float]) -> None:
        """Log means of the last updates, under SB3's names and "entropy" (nats), and guidance's metrics."""
        soft_q = -losses["actor_loss"] - losses["ent_coef"] * losses["entropy"]
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, value in {**losses, "soft_q": soft_q}.items():
            self.logger.record(f"train/{name}", value)
        for name, value in {**self.guidance_metrics, **self._advice_counts()}.items():
            self.logger.record(f"guidance/{name}", value)

    def _advice_counts(self) -> dict[str, float]:
        guidance = self.guidance
        return {
            "queries": guidance.queries,
            "asked": guidance.asked,
            "used": guidance.used,
            "plans": len(guidance.plans),
        }

    def _gaussian(self, observations: Tensors) -> Normal:
        """The policy before the tanh."""
        mean, log_std, kwargs = self.actor.get_action_dist_params(observations)
        gaussian = self.actor.action_dist.proba_distribution(mean, log_std, **kwargs).distribution
        assert isinstance(gaussian, Normal)
        return gaussian

    def _fast(self) -> Any:
        """The fast update where it is wanted and fits, else None."""
        if self.update == "autograd" or self._fast_update is False:
            return None
        if self._fast_update is None:
            try:
                self._fast_update = self._make_fast()
            except (ImportError, VarlError):
                if self.update == "fast" or self.bf16:
                    raise
                self._fast_update = False
                return None
        return self._fast_update

    def _make_fast(self) -> Any:
        if self.device.type == "cuda":
            from varl_agent.fast.cuda_update import CudaUpdate

            return CudaUpdate(self, bf16=self.bf16)
        from varl_agent.fast.fast_update import FastUpdate

        return FastUpdate(self)
