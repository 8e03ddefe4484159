"""The SAC that consults: it remembers its recent moments, asks the advisor, and stores what was executed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.utils import obs_as_tensor
from varl_common.errors import VarlError, expect
from varl_common.plan import Scene

from varl_agent.advice.guidance_buffer import GuidanceBuffer, Observations, take
from varl_agent.advice.messages import Advisor
from varl_agent.advice.question import Consultation
from varl_agent.advice.recent_transitions import Moment, Moments, flat_states
from varl_agent.advice.triggers import Schedule, Trigger
from varl_agent.finite import zero_where_not_finite
from varl_agent.replay.finite_rows import FiniteRows
from varl_agent.replay.success_index import SuccessIndex, gather
from varl_agent.sac.batches import Batch, joined, split
from varl_agent.sac.cutoff import Cutoff
from varl_agent.sac.random_state import RandomState

SPREAD_WINDOW = 1_000  # moments: many episodes, and so many goals
# While at least this share of the recent episodes succeeds, plans are held against so many steps of successful
# episodes, every so many steps. With less success these would only speak for whichever plan was followed.
TRUST_RATE, TRUST_ROWS, TRUST_EVERY = 0.5, 512, 500
# Plans that have guided for so many episodes, the last of which succeed more rarely than that, make way for others.
TRIAL_EPISODES, TRIAL_RATE = 50, 0.25
# What a checkpoint must hold beyond SAC's networks and optimisers; each has state_dict and load_state_dict.
STATEFUL = ("guidance", "successes", "cutoff", "moments", "consultation")


class AdvisedSAC(SAC):
    """SAC with an advisor at its side. Takes SAC's arguments and these:

    Args:
        advisor: who is asked; None: nobody, plain SAC.
        trigger: environment steps at which to ask; or a period; or a function of the model.
        states_per_query: moments shown at a time.
        selection: which: "recent", "spread" over or "uncertain" within the window. Spread, because 64 moments in a row
            are of one or two episodes, and so of one or two goals: on ``reach`` (seed 0, 3 x 64 labels, p = 0.1)
            recent ones gave 5 % success after 4,000 steps and spread ones 60 %.
        window: moments to choose from; by default ``states_per_query`` for "recent", else the last 1,000.
        cutoff, cutoff_step, cutoff_decay, cutoff_successes, cutoff_rate: how long guidance lasts
            (:class:`varl_agent.sac.cutoff.Cutoff`).
        success_fraction: share of each batch drawn from successful episodes, once there are any.
        advice_delay: steps after a question at which its answer is taken in, waiting for it (reproducible); None:
            whenever it is there (real time).
        advice_deadline: seconds an answer may take.

    An environment may give ``info["executed_action"]`` (stored in place of the action asked for),
    ``info["is_success"]`` (true in any step of an episode that succeeds), ``info["frames"]`` and, for plans, an
    attribute ``description`` (:class:`varl_common.plan.Scene`). Where the advisor has ``wants_frames``, the
    environment's attribute ``capture`` is True while a moment may be shown.
    """

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        *args: Any,
        advisor: Advisor | None = None,
        trigger: Trigger = (1_000, 3_000, 6_000),
        states_per_query: int = 64,
        selection: str = "spread",
        window: int | None = None,
        cutoff: str = "hard",
        cutoff_step: int = 20_000,
        cutoff_decay: int = 0,
        cutoff_successes: int = 100,
        cutoff_rate: float = 0.7,
        success_fraction: float = 0.0,
        advice_delay: int | None = 0,
        advice_deadline: float = 60.0,
        **kwargs: Any,
    ) -> None:
        expect(advisor is None or hasattr(advisor, "ask"), "advisor", advisor, "an object with a method ask, or None")
        expect(states_per_query >= 1, "states_per_query", states_per_query, "1 or more")
        expect(window is None or window >= 1, "window", window, "1 or more moments, or None")
        expect(0 <= success_fraction < 1, "success_fraction", success_fraction, "a share from 0 to below 1")
        expect(advice_delay is None or advice_delay >= 0, "advice_delay", advice_delay, "0 or more steps, or None")
        expect(advice_deadline >= 0, "advice_deadline", advice_deadline, "0 or more seconds")
        self.advisor = advisor
        self.trigger = trigger
        self.states_per_query = states_per_query
        self.selection = selection
        self.window = window or (states_per_query if selection == "recent" else SPREAD_WINDOW)
        self.cutoff_settings = (cutoff, cutoff_step, cutoff_decay, cutoff_successes, cutoff_rate)
        self.success_fraction = success_fraction
        self.advice_delay = advice_delay
        self.advice_deadline = advice_deadline
        super().__init__(policy, env, *args, **kwargs)  # type: ignore[arg-type]

    def _setup_model(self) -> None:
        super()._setup_model()
        assert self.replay_buffer is not None
        if self.success_fraction and isinstance(self.replay_buffer, NStepReplayBuffer):
            raise VarlError("success_fraction draws single steps; set it to 0, or n_steps to 1")
        act_dim = int(np.prod(self.action_space.shape))  # type: ignore[arg-type]
        self.cutoff = Cutoff(*self.cutoff_settings)
        self.guidance = GuidanceBuffer(act_dim, self.seed)
        self.successes = SuccessIndex(self.replay_buffer.buffer_size, self.n_envs)
        self.moments = Moments(self.observation_space, self.window, self.selection)
        self.random_state = RandomState()
        self._schedule = Schedule(self.trigger)
        self._frames: list[Any] = [None] * self.n_envs
        self._capturing = False
        self._described: Any = None
        self._scene: Scene | None = None
        self.consultation = Consultation(self.advisor, self.guidance, self.advice_delay, self.advice_deadline)

    @property
    def guided(self) -> bool:
        """Whether guidance may still shape the actor."""
        return self.advisor is not None and self.cutoff.factor(self.num_timesteps) > 0.0

    @property
    def consulting(self) -> bool:
        """Whether a question is open. A checkpoint holds it, less its frames: it is asked again at a resume."""
        return self.consultation.waiting

    @property
    def scene(self) -> Scene | None:
        """The environment's description, for plans; None where it has none. Asked for once an environment."""
        if self._described is not self.env:
            self._described = self.env
            # In this order: to be asked for what it has not ends the process of a SubprocVecEnv.
            described = self.env is not None and self.env.has_attr("description")
            self._scene = self.env.get_attr("description", indices=0)[0] if described else None  # type: ignore[union-attr]
        return self._scene

    # --- every environment step ---------------------------------------------------------------------------------------

    def _setup_learn(self, total_timesteps: int, callback: Any = None, reset: bool = True, *rest: Any) -> Any:
        fresh = reset or self._last_obs is None
        assert self.replay_buffer is not None
        self.successes.follow(self.replay_buffer)
        if reset and self.num_timesteps:  # the steps that guidance goes by are counted from 0 again
            self.consultation.forget()
            self.guidance.restart(self.num_timesteps)
            self.cutoff.restart()
        result = super()._setup_learn(total_timesteps, callback, reset, *rest)
        if fresh:
            self.restart_episodes()
        return result

    def restart_episodes(self) -> None:
        """Every environment was reset from outside: what ran there is broken off."""
        self.successes.restart()
        self._frames = [info.get("frames") for info in self.env.reset_infos]  # type: ignore[union-attr]

    def _update_info_buffer(self, infos: list[dict[str, Any]], dones: np.ndarray | None = None) -> None:
        # SB3 counts the last step's success; an episode succeeds by any of its steps.
        succeeded = self.successes.succeeded(infos)
        whole = [i | {"is_success": bool(s)} if "is_success" in i else i for i, s in zip(infos, succeeded, strict=True)]
        super()._update_info_buffer(whole, dones)

    def _store_transition(
        self,
        replay_buffer: ReplayBuffer,
        buffer_action: np.ndarray,
        new_obs: Any,
        reward: np.ndarray,
        dones: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        executed = buffer_action.copy()
        for i, info in enumerate(infos):
            if info.get("executed_action") is not None:
                executed[i] = self.policy.scale_action(np.asarray(info["executed_action"], np.float32))
        if self.guided:
            self._remember(executed, new_obs, reward, dones, infos)
        rows: Any = FiniteRows(replay_buffer, self.successes)
        super()._store_transition(rows, executed, new_obs, reward, dones, infos)

    def _sample_action(self, *args: Any) -> tuple[np.ndarray, np.ndarray]:
        # A policy has no action for nan. What is stored is the observation as it was, for FiniteRows to see.
        observed = self._last_obs
        self._last_obs = zero_where_not_finite(observed)
        try:
            return super()._sample_action(*args)
        finally:
            self._last_obs = observed

    def _on_step(self) -> None:
        super()._on_step()
        rate = self.successes.recent_success_rate
        self.cutoff.update(self.num_timesteps, self.successes.episodes, rate)
        self.consult()
        if self.num_timesteps % TRUST_EVERY < self.n_envs:
            self._judge_plans(rate)

    def _judge_plans(self, rate: float) -> None:
        """Let experience speak for and against plans."""
        guidance, ended = self.guidance, self.successes.ended
        if len(guidance.plans) < 2 or not self.guided or self.scene is None:
            return
        if rate >= TRUST_RATE:
            assert self.replay_buffer is not None
            won = gather(self.replay_buffer, *self.successes.sample(TRUST_ROWS), self._vec_normalize_env)
            guidance.trust(self._states(won.observations), won.actions.cpu().numpy(), self.scene)
        if rate >= TRUST_RATE or guidance.chosen_at is None:
            guidance.chosen_at = ended
        elif rate < TRIAL_RATE and ended - guidance.chosen_at >= TRIAL_EPISODES:
            guidance.try_next(ended)

    def consult(self) -> None:
        """Take in an answer whose time has come; ask when a question is due and its answer could still be used."""
        if self.advisor is None:
            return
        step = self.num_timesteps
        self.consultation.take_in(step, lambda: self.scene)
        may_ask = self.guided and not self.consultation.waiting and len(self.moments) > 0
        if may_ask and self._schedule.due(self, step, self.guidance.queries):
            self.consultation.ask(*self.moments.query(step, self.states_per_query, self._doubt))
            self.consultation.take_in(step, lambda: self.scene)
        if getattr(self.advisor, "wants_frames", False):
            self._capture(self.guided and self._schedule.near(step, self.window // self.n_envs, self.guidance.queries))

    def _capture(self, wanted: bool) -> None:
        if wanted != self._capturing and self.env is not None:
            self.env.env_method("set_wrapper_attr", "capture", wanted)
            self._capturing = wanted

    def _remember(
        self, executed: np.ndarray, new_obs: Any, reward: np.ndarray, dones: np.ndarray, infos: list[dict[str, Any]]
    ) -> None:
        before: Any = self._last_obs
        after: Any = new_obs
        if self._vec_normalize_env is not None:
            before, after = self._last_original_obs, self._vec_normalize_env.get_original_obs()
            reward = self._vec_normalize_env.get_original_reward()
        for i, info in enumerate(infos):
            next_obs = info["terminal_observation"] if dones[i] else take(after, i)
            self.moments.add(Moment(take(before, i), executed[i], next_obs, float(reward[i]), self._frames[i]))
            # Frames show the moment after the step: the one before the next action.
            shown = self.env.reset_infos[i] if dones[i] else info  # type: ignore[union-attr]
            self._frames[i] = shown.get("frames")

    # --- batches ------------------------------------------------------------------------------------------------------

    def draw_batches(self, n: int, batch_size: int) -> list[Batch]:
        """n batches of the replay, ``success_fraction`` of each from successful episodes once there are any."""
        assert self.replay_buffer is not None
        won = round(self.success_fraction * batch_size) if len(self.successes) else 0
        drawn = split(self.replay_buffer.sample(n * (batch_size - won), env=self._vec_normalize_env), n)
        if won == 0:
            return drawn
        successes = gather(self.replay_buffer, *self.successes.sample(n * won), self._vec_normalize_env)
        return [joined(*both) for both in zip(drawn, split(successes, n), strict=True)]

    def _states(self, observations: Any) -> np.ndarray:
        """(n, obs_dim) of a batch of observations as the policy takes them, in the environment's own units."""
        arrays = (
            {key: value.cpu().numpy() for key, value in observations.items()}
            if isinstance(observations, dict)
            else observations.cpu().numpy()
        )
        if self._vec_normalize_env is not None:
            arrays = self._vec_normalize_env.unnormalize_obs(arrays)
        return flat_states(self.observation_space, arrays)

    def _doubt(self, observations: Observations) -> np.ndarray:
        """(n,) how far the critics are apart about the greedy action."""
        assert self.replay_buffer is not None
        normalized: Any = self.replay_buffer._normalize_obs(observations, self._vec_normalize_env)
        tensors = obs_as_tensor(normalized, self.device)
        with th.no_grad():
            q = th.cat(self.critic(tensors, self.actor(tensors, deterministic=True)), dim=1)
        return (q.amax(1) - q.amin(1)).cpu().numpy()

    # --- saving -------------------------------------------------------------------------------------------------------

    def checkpoint_state(self) -> dict[str, Any]:
        """What advice has brought so far, as a tree of tensors and plain values."""
        return {name: getattr(self, name).state_dict() for name in STATEFUL}

    def restore_checkpoint_state(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`checkpoint_state`."""
        for name in STATEFUL:
            getattr(self, name).load_state_dict(state[name])

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "advisor", "_schedule", "_frames", "_described", "_scene"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        state_dicts, variables = super()._get_torch_save_params()
        return [*state_dicts, *STATEFUL, "random_state"], variables
