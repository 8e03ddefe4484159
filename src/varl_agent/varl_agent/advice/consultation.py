"""Between the agent and its advisor: what is remembered, when is asked, and what becomes of the answers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.utils import obs_as_tensor
from varl_common.errors import VarlError
from varl_common.plan import Scene

from varl_agent.advice.observations import Observations, take
from varl_agent.advice.open_question import OpenQuestion
from varl_agent.advice.plan_selection import JUDGE_EVERY, judge_plans
from varl_agent.advice.plan_trials import choose
from varl_agent.advice.recent_transitions import RecentTransitions, Transition
from varl_agent.advice.triggers import Schedule


class Consultation:
    """Asks the advisor of ``model``, a VARL, at most one question at a time, and puts answers into its ``guidance``.

    ``saved``: the consultation of a model that was saved, of which what was remembered and asked goes on.

    Attributes:
        recent: what questions are about.
        question: the one that is open. A checkpoint holds it, less its frames: it is asked again after a resume.
    """

    def __init__(self, model: Any, saved: Consultation | None = None) -> None:
        self.model = model
        self.schedule = Schedule(model.trigger)
        self.recent: RecentTransitions = RecentTransitions(
            model.observation_space, model.window, saved.recent if saved else ()
        )
        self.question: OpenQuestion | None = saved.question if saved else None
        self._frames: list[Any] = [None] * model.n_envs  # of each environment, taken before its next action
        self._capturing: Any = None  # the environment that takes frames
        self._described: Any = None  # the environment that ``_scene`` is of
        self._scene: Scene | None = None
        self._fitting: Scene | None = None  # a scene that the plans were found to fit

    @property
    def scene(self) -> Scene | None:
        """The environment's ``description``, which plans are about; None where it has none."""
        env = self.model.env
        if self._described is not env:
            self._described = env
            # In this order: to be asked for what it has not ends the process of a SubprocVecEnv.
            described = env is not None and env.has_attr("description")
            self._scene = env.get_attr("description", indices=0)[0] if described else None
        return self._scene

    def scene_of_plans(self) -> Scene:
        """The scene, which the plans that were advised fit.

        Raises:
            VarlError: they do not: the model was given to another environment.
        """
        scene = self.scene
        if scene is None or self._fitting is not scene:
            remedy = (
                "give the environment that they were advised for, or load the model with cutoff='hard', cutoff_step=0"
            )
            try:
                if scene is None:
                    raise VarlError("it has no `description`")
                for _, _, plan in self.model.guidance.plans:
                    plan.check(scene)
            except VarlError as error:
                raise VarlError(f"the model's plans do not fit its environment: {error}; {remedy}") from None
            self._fitting = scene
        return scene

    def begin(self) -> None:
        """All environments were reset."""
        infos = self._reset_infos()
        self._frames = [info.get("frames") if self._capturing is not None else None for info in infos]

    def remember(
        self, actions: np.ndarray, new_obs: Any, rewards: np.ndarray, dones: np.ndarray, infos: list[dict[str, Any]]
    ) -> None:
        """One transition of each environment, with ``actions`` (n_envs, ...) as executed, before it is stored."""
        actions = actions.reshape(len(actions), -1)
        model, normalize = self.model, self.model._vec_normalize_env
        before, after = model._last_obs, new_obs
        if normalize is not None:  # an advisor is shown the environment's own units
            before, after = model._last_original_obs, normalize.get_original_obs()
            rewards = normalize.get_original_reward()
        for i, info in enumerate(infos):
            next_obs = take(after, i)
            if dones[i] and info.get("terminal_observation") is not None:
                next_obs = info["terminal_observation"]
                next_obs = next_obs if normalize is None else normalize.unnormalize_obs(next_obs)
            frames, self._frames[i] = self._frames[i], None
            if "stopped" not in info:  # else it was no transition
                self.recent.add(Transition(take(before, i), actions[i], next_obs, float(rewards[i]), frames))
            if self._capturing is not None:  # frames show what the next action is chosen from: after the step or reset
                self._frames[i] = (self._reset_infos()[i] if dones[i] else info).get("frames")

    def advance(self, success_rate: float) -> None:
        """After each step: take in an answer whose time has come, ask where a question is due, weigh the plans."""
        model = self.model
        if model.advisor is None:
            return
        step, guidance = model.num_timesteps, model.guidance
        self._take_in()
        due = self.question is None and model.guided and len(self.recent) > 0
        if due and self.schedule.due(model, step, guidance.queries):
            query = self.recent.query(step, model.states_per_query, model.selection, self._uncertainty)
            self.question = OpenQuestion(*query)
            self._take_in()
        if getattr(model.advisor, "wants_frames", False):
            near = self.schedule.near(step, self._pictured_steps(), guidance.queries)
            self._capture(model.guided and near)
        if model.act == 0.0 and step % JUDGE_EVERY < model.n_envs and model.guided and guidance.plans:
            judge_plans(guidance, self.scene_of_plans(), success_rate, model.successes.ended, model.sampler.succeeded)

    def _reset_infos(self) -> Any:
        return self.model.env.unwrapped.reset_infos  # a wrapper has a list of its own, which stays empty

    def _take_in(self) -> None:
        model, question = self.model, self.question
        if question is None:
            return
        question.ask(model.advisor)
        answer = question.answer(
            model.num_timesteps, model.advice_delay, model.advice_deadline, model.guidance.act_dim, lambda: self.scene
        )
        if answer is not None:
            self.question = None
            model.guidance.add(question.observations, answer, question.query.step)
            if model.act > 0.0 and model.guidance.plans:  # none guides before it has stood trial
                choose(model.guidance)

    def _pictured_steps(self) -> int:
        """For so many steps before a question frames are taken: as long as a transition may be shown."""
        model = self.model
        steps = model.window // model.n_envs
        if getattr(model.advisor, "pictures", None) is None or model.selection == "uncertain":
            return steps
        # Here are the last of those that are shown, however they are spread; a frame is taken a step before.
        last = (model.advisor.pictures + 1) * model.window / model.states_per_query
        return min(steps, math.ceil(last / model.n_envs) + 1)

    def _capture(self, wanted: bool) -> None:
        """Let the environments take frames while a transition may be shown; afterwards forget those that were kept."""
        env = self.model.env
        capturing = env if wanted else None
        if env is None or capturing is self._capturing:
            return
        self._capturing = capturing
        env.env_method("set_wrapper_attr", "capture", wanted)
        if not wanted:
            self.recent.drop_frames()
            self._frames = [None] * len(self._frames)

    def _uncertainty(self, observations: Observations) -> np.ndarray:
        """(n,) how far the critics are apart about the greedy action."""
        model = self.model
        normalized: Any = model.replay_buffer._normalize_obs(observations, model._vec_normalize_env)
        tensors = obs_as_tensor(normalized, model.device)
        with th.no_grad():
            q = th.cat(model.critic(tensors, model.actor(tensors, deterministic=True)), dim=1)
        return (q.amax(1) - q.amin(1)).cpu().numpy()

    def state_dict(self) -> dict[str, Any]:
        """What is remembered and asked, without frames."""
        question = {} if self.question is None else self.question.state_dict()
        return {"recent": self.recent.state_dict(), "question": question}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        self.recent.load_state_dict(state["recent"])
        self.question = OpenQuestion.from_state_dict(state["question"]) if state["question"] else None

    def __getstate__(self) -> dict[str, Any]:
        return {"recent": self.recent, "question": self.question}
