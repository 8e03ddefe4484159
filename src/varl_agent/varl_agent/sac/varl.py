"""VARL: Soft Actor-Critic that a vision-language model advises (Wu, Zhao, Zhang, Hu, arXiv 2509.21126).

A few times in a run the agent shows an advisor some of its recent transitions and asks what it would have done. The
answers form a guidance buffer G. While advice guides, the actor minimises, over replay D and G,

    E_D[ alpha log pi(a|s) - min_i Q_i(s, a) ] + lambda E_G[ sum_j gate_j(s, a_adv) * -log pi_j(a_adv|s) ],

j running over the action's axes. Where an answer is a plan, G is the replay batch itself, each state labelled by the
plan or, in an episode that succeeded, by what was done in it. Once advice is released, the agent's own successful
episodes take its place, with a weight of their own. Critics and targets are SAC's, and the reward is never touched.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, ClassVar

import numpy as np
import torch as th
import torch.nn.functional as F
from stable_baselines3 import SAC
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.utils import polyak_update
from torch.distributions import Normal

from varl_agent.advice.consultation import Consultation
from varl_agent.advice.guidance_buffer import GuidanceBuffer
from varl_agent.advice.messages import Advisor
from varl_agent.advice.triggers import Trigger
from varl_agent.advice.turns import Turns
from varl_agent.finite import zero_where_not_finite
from varl_agent.replay.accepted_rows import AcceptedRows
from varl_agent.replay.success_index import SuccessIndex
from varl_agent.sac.cutoff import NOT_RELEASED, Cutoff
from varl_agent.sac.gates import make_gate
from varl_agent.sac.guidance import GuidanceBatch, GuidanceMetrics, Tensors
from varl_agent.sac.policies import VARLCnnPolicy, VARLMultiInputPolicy, VARLPolicy
from varl_agent.sac.sampler import Sampler
from varl_agent.sac.settings import check_settings
from varl_agent.sac.tanh_gaussian import log_prob_per_axis
from varl_agent.sac.temperature import held
from varl_agent.sac.training_log import record_training
from varl_agent.sac.update import Update, choose_update


class VARL(SAC):
    """SAC with an action advisor. Takes SAC's arguments, some with other defaults, and these:

    Args:
        advisor: who is asked; None: nobody.
        trigger: environment steps at which to ask; or a period; or a function of the model.
        states_per_query, selection, window: how many transitions a question shows, and which of the last ``window``:
            "recent", "spread" in time, or those the critics are "uncertain" about. Spread, because 64 in a row are of
            one or two episodes, and so of one or two goals.
        gate, gate_threshold: where advice still pulls (:mod:`.gates`); None: the gate's own threshold.
        guidance_weight: lambda.
        guidance_batch_size: states of G in a gradient step; of a plan, the whole replay batch.
        cutoff, cutoff_step, cutoff_decay, cutoff_successes, cutoff_rate: when advice ends (:class:`.cutoff.Cutoff`).
        success_fraction: share of each batch that is drawn from successful episodes, once there are any.
        imitation_weight: weight of the pull towards the actions of one's own successful episodes, through the same
            gate, once advice is released (from the start where there is no advisor); 0: none, nor as a plan's labels.
        act: share of the episodes, while advice guides, in which plans act in the policy's place, so that those guide
            which succeed (:mod:`varl_agent.advice.plan_trials`); 0: the policy alone acts.
        advice_delay: steps after a question at which its answer is waited for (reproducible); None: it is taken in
            whenever it is there (real time).
        advice_deadline: seconds that an answer may take; infinite: however many.
        max_grad_norm: 2-norm to which each optimizer's gradient is scaled down before its step; None: never.
        update: "autograd" (below), "fast" (:mod:`varl_agent.fast`), or "auto": fast on a CPU where it covers the model.
        bf16: the fast update on a GPU computes its matrix products in bfloat16.

    An environment may give ``info["executed_action"]`` (stored in place of the action asked for),
    ``info["is_success"]`` (true in any step of an episode that succeeds), ``info["stopped"]`` and
    ``info["void_steps"]`` (not to be learned from: :class:`.accepted_rows.AcceptedRows`), ``info["frames"]`` and, for
    plans, an attribute ``description`` (:class:`varl_common.plan.Scene`). Where the advisor has ``wants_frames``, the
    environment's attribute ``capture`` is True while a transition may be shown.
    """

    sampler_class: ClassVar[type[Sampler]] = Sampler
    turns_class: ClassVar[type[Turns]] = Turns
    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": VARLPolicy,
        "CnnPolicy": VARLCnnPolicy,
        "MultiInputPolicy": VARLMultiInputPolicy,
    }

    def __init__(
        self,
        policy: str | type[VARLPolicy],
        env: GymEnv | str | None,
        learning_rate: Any = 3e-4,
        buffer_size: int = 1_000_000,
        learning_starts: int = 100,
        batch_size: int = 256,
        tau: float = 0.005,
        gamma: float = 0.99,
        *args: Any,
        ent_coef: str | float = "auto_0.02",
        advisor: Advisor | None = None,
        trigger: Trigger = (1_000, 3_000, 6_000),
        states_per_query: int = 64,
        selection: str = "spread",
        window: int = 1_000,
        gate: str = "log-prob",
        gate_threshold: float | None = None,
        guidance_weight: float = 10.0,
        guidance_batch_size: int = 64,
        cutoff: str = "adaptive",
        cutoff_step: int = 60_000,
        cutoff_decay: int = 10_000,
        cutoff_successes: int = 100,
        cutoff_rate: float = 0.9,
        success_fraction: float = 0.5,
        imitation_weight: float = 1.0,
        act: float = 0.5,
        advice_delay: int | None = 0,
        advice_deadline: float = 60.0,
        max_grad_norm: float | None = None,
        update: str = "auto",
        bf16: bool = False,
        **kwargs: Any,
    ) -> None:
        self.advisor = advisor
        self.trigger = trigger
        self.states_per_query = states_per_query
        self.selection = selection
        self.window = window
        self.gate = gate
        self.gate_threshold = gate_threshold
        self.guidance_weight = guidance_weight
        self.guidance_batch_size = guidance_batch_size
        self.cutoff = cutoff
        self.cutoff_step = cutoff_step
        self.cutoff_decay = cutoff_decay
        self.cutoff_successes = cutoff_successes
        self.cutoff_rate = cutoff_rate
        self.success_fraction = success_fraction
        self.imitation_weight = imitation_weight
        self.act = act
        self.advice_delay = advice_delay
        self.advice_deadline = advice_deadline
        self.max_grad_norm = max_grad_norm
        self.update = update
        self.bf16 = bf16
        self.released_at = NOT_RELEASED
        # Made by _setup_model, unless a saved model brings its own.
        self.guidance: GuidanceBuffer = None  # type: ignore[assignment]
        self.successes: SuccessIndex = None  # type: ignore[assignment]
        self.consultation: Consultation = None  # type: ignore[assignment]
        own = (learning_rate, buffer_size, learning_starts, batch_size, tau, gamma)
        super().__init__(policy, env, *own, *args, ent_coef=ent_coef, **kwargs)  # type: ignore[arg-type,misc]

    def _setup_model(self) -> None:
        check_settings(self)
        super()._setup_model()
        assert self.replay_buffer is not None
        self._gate = make_gate(self.gate, self.gate_threshold)
        self._cutoff = Cutoff(self.cutoff, self.cutoff_step, self.cutoff_decay, self.cutoff_successes, self.cutoff_rate)
        if self.guidance is None:
            self.guidance = GuidanceBuffer(int(np.prod(self.action_space.shape)), self.seed)
        if self.successes is None:
            self.successes = SuccessIndex(self.replay_buffer.buffer_size, self.n_envs)
        self.consultation = Consultation(self, self.consultation)
        self.sampler, self.turns = self.sampler_class(self), self.turns_class(self)
        self.guidance_metrics = GuidanceMetrics()
        self._update: Update | bool | None = False  # not chosen yet

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """``gradient_steps`` updates of critic, temperature and actor, each on a batch of ``batch_size``."""
        update = self._chosen_update()
        if update is not None:
            update.train(gradient_steps, batch_size)
            return
        self.policy.set_training_mode(True)
        optimizers = [self.actor.optimizer, self.critic.optimizer, self.ent_coef_optimizer]
        self._update_learning_rate([optimizer for optimizer in optimizers if optimizer is not None])
        losses: dict[str, list[float]] = defaultdict(list)

        for gradient_step, (batch, guidance) in enumerate(self.sampler.batches(gradient_steps, batch_size)):
            discount = self.gamma if batch.discounts is None else batch.discounts
            if self.use_sde:
                self.actor.reset_noise()
            actions_pi, log_prob = self.actor.action_log_prob(batch.observations)
            log_prob = log_prob.reshape(-1, 1)

            # Temperature.
            if self.ent_coef_optimizer is not None and self.log_ent_coef is not None:
                alpha = th.exp(self.log_ent_coef.detach())
                surplus = (log_prob + float(self.target_entropy)).detach().mean()
                losses["ent_coef_loss"].append(-(self.log_ent_coef.detach() * surplus).item())
                with held(self.log_ent_coef, surplus.item(), guidance) as steps:
                    if steps:
                        self._step(self.ent_coef_optimizer, -(self.log_ent_coef * surplus).mean())
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
            critic_loss: Any = 0.5 * sum(
                F.mse_loss(q, target_q) for q in self.critic(batch.observations, batch.actions)
            )
            self._step(self.critic.optimizer, critic_loss)
            losses["critic_loss"].append(critic_loss.item())

            # Actor: SAC's objective, and the pull of what guides it.
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
        record_training(self, {name: float(np.mean(values)) for name, values in losses.items()})

    def _step(self, optimizer: th.optim.Optimizer, loss: th.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        if self.max_grad_norm is not None:
            th.nn.utils.clip_grad_norm_((p for g in optimizer.param_groups for p in g["params"]), self.max_grad_norm)
        optimizer.step()

    def _guidance_loss(self, guidance: GuidanceBatch) -> th.Tensor:
        """weight * E_G[ sum_j gate_j * -log pi_j(a|s) ]."""
        policy = self._gaussian(guidance.observations)
        mean = policy.mean.detach()
        gate = self._gate(policy.mean, policy.stddev, guidance.actions, lambda: self.advantage(guidance, mean))
        bc_loss = -(gate * log_prob_per_axis(policy.mean, policy.stddev, guidance.actions)).sum(dim=1).mean()
        self.note_guidance(guidance, mean, gate, bc_loss.detach())
        return guidance.weight * bc_loss

    def _gaussian(self, observations: Tensors) -> Normal:
        """The policy before the tanh."""
        mean, log_std, kwargs = self.actor.get_action_dist_params(observations)
        gaussian = self.actor.action_dist.proba_distribution(mean, log_std, **kwargs).distribution
        assert isinstance(gaussian, Normal)
        return gaussian

    def advantage(self, guidance: GuidanceBatch, mean: th.Tensor) -> th.Tensor:
        """(m, 1): min_i Q_i(s, a) - min_i Q_i(s, tanh(mean)), for the policy's mean before the tanh."""
        with th.no_grad():
            advised = th.cat(self.critic(guidance.observations, guidance.actions), dim=1).amin(1, keepdim=True)
            greedy = th.cat(self.critic(guidance.observations, th.tanh(mean)), dim=1).amin(1, keepdim=True)
        return advised - greedy

    # --- what fast updates share with train ---------------------------------------------------------------------------

    def note_guidance(self, guidance: GuidanceBatch, mean: th.Tensor, gate: th.Tensor, bc_loss: th.Tensor) -> None:
        """Look at what guidance does, where that is due: the policy's ``mean`` before the tanh, and ``gate`` on it."""
        metrics = self.guidance_metrics
        if metrics.due(self._n_updates):
            with th.random.fork_rng(devices=[]):  # a look draws nothing: a run that is resumed looks anew
                seen = self.guidance.age(self.num_timesteps), self.advantage(guidance, mean)
            metrics.note(self._n_updates, guidance, gate, bc_loss.item(), *seen)

    def _chosen_update(self) -> Update | None:
        """The accelerator to train with, chosen once; None: autograd."""
        if isinstance(self._update, bool):
            self._update = choose_update(self)
        return self._update

    # --- every environment step ---------------------------------------------------------------------------------------

    @property
    def advice_factor(self) -> float:
        """1 while advice guides in full, 0 once it is released, between them while it fades."""
        return self._cutoff.factor(self.num_timesteps, self.released_at)

    @property
    def guided(self) -> bool:
        """Whether advice may still shape the actor."""
        return self.advisor is not None and self.advice_factor > 0.0

    def _setup_learn(
        self, total_timesteps: int, callback: Any = None, reset_num_timesteps: bool = True, *args: Any, **kwargs: Any
    ) -> Any:
        # An update that moves the weights in memory, on which the last bit of a product depends, does so before the
        # first action: a run that is resumed acts exactly as one that was not stopped.
        if (update := self._chosen_update()) is not None:
            update.adopt()
        assert self.replay_buffer is not None
        fresh = reset_num_timesteps or self._last_obs is None
        self.successes.follow(self.replay_buffer)
        if reset_num_timesteps and self.num_timesteps:  # the steps that guidance goes by are counted from 0 again
            self.consultation.question = None
            self.guidance.restart(self.num_timesteps)
            self.released_at = NOT_RELEASED
            self.successes.recount()
        result = super()._setup_learn(total_timesteps, callback, reset_num_timesteps, *args, **kwargs)
        if fresh:
            self.restart_episodes()
        self._rows: Any = AcceptedRows(self.replay_buffer, self.successes, self._vec_normalize_env)
        return result

    def restart_episodes(self) -> None:
        """All environments were reset from outside: what ran there is broken off."""
        self.successes.restart()
        self.consultation.begin()
        self.turns.restart()

    def _update_info_buffer(self, infos: list[dict[str, Any]], dones: np.ndarray | None = None) -> None:
        # SB3 counts the last step's success; an episode succeeds by any of its steps.
        succeeded = self.successes.succeeded(infos)
        whole = [i | {"is_success": bool(s)} if "is_success" in i else i for i, s in zip(infos, succeeded, strict=True)]
        super()._update_info_buffer(whole, dones)

    def _store_transition(
        self, replay_buffer: Any, buffer_action: np.ndarray, new_obs: Any, reward: Any, dones: np.ndarray, infos: Any
    ) -> None:
        executed = buffer_action.copy()
        for i, info in enumerate(infos):
            if info.get("executed_action") is not None:
                executed[i] = self.policy.scale_action(np.asarray(info["executed_action"], np.float32))
        if self.guided:
            self.consultation.remember(executed, new_obs, reward, dones, infos)
        self.turns.note(dones, infos)
        super()._store_transition(self._rows, executed, new_obs, reward, dones, infos)

    def _sample_action(self, *args: Any) -> tuple[np.ndarray, np.ndarray]:
        # A policy has no action for nan. What is stored is the observation as it was, for AcceptedRows to see.
        observed = self._last_obs
        self._last_obs = zero_where_not_finite(observed)
        try:
            action, scaled = super()._sample_action(*args)
        finally:
            self._last_obs = observed
        advised = self.turns.with_advice(scaled)
        return (action, scaled) if advised is scaled else (self.policy.unscale_action(advised), advised)

    def _on_step(self) -> None:
        super()._on_step()
        step, rate = self.num_timesteps, self.successes.recent_success_rate
        if self.released_at == NOT_RELEASED and self._cutoff.releases(step, self.successes.own, rate):
            self.released_at = step
        self.consultation.advance(rate)

    def _excluded_save_params(self) -> list[str]:
        made_anew = ["advisor", "_gate", "_cutoff", "sampler", "turns", "guidance_metrics", "_update", "_rows"]
        return [*super()._excluded_save_params(), *made_anew]
