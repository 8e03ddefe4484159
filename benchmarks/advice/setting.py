"""What a run is: a task, a method, a seed and the settings that they share."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from varl_agent.advice.messages import Advisor
from varl_agent.sac.presets import preset
from varl_agent.sac.varl import VARL
from varl_common.errors import VarlError, did_you_mean, expect

from benchmarks.advice.advisors import Labels, Plans, Random, expert_of, plan_of
from benchmarks.advice.ensemble import EnsemblePolicy, OwnRlpd
from benchmarks.advice.environments import ARM_TASKS, MAZES, make_env
from benchmarks.advice.film.moments import Moments
from benchmarks.advice.film.videos import Videos
from benchmarks.advice.hindsight import EndingReplayBuffer, GoalEnv
from benchmarks.advice.progress import Progress, progress_of
from benchmarks.advice.rivals import (
    Demonstrated,
    Executing,
    ExecutingPlans,
    Hindsight,
    PlanAlone,
    Preferring,
    Proposing,
)
from benchmarks.advice.vlm import Filmed, Vlm, world_of

REWARD_SCALE = 10.0  # for every method: with a sparse reward of 1, the bonus for entropy outweighs success at first
DEMONSTRATION_SEED, EVALUATION_SEED = 500_000, 900_000

# What every method has in common: VARL's defaults but for these, of which docs/defaults.md says why. Any of it can be
# altered with --set.
COMMON: dict[str, Any] = {"learning_rate": 1e-3, "tau": 0.02, "batch_size": 128, "learning_starts": 500}
# SAC without what VARL adds to it; what advises it as labels, an action a state.
PLAIN: dict[str, Any] = {"success_fraction": 0.0, "imitation_weight": 0.0}
FOREVER: dict[str, Any] = {"act": 0.0, "cutoff": "hard", "cutoff_step": 1_000_000_000}
LABELS: dict[str, Any] = {**PLAIN, "gate": "distance", "cutoff": "hard", "cutoff_step": 20_000, "cutoff_decay": 0}

# The published recipe, at the bench's learning rate, network and batch.
PAPER = {name: value for name, value in preset("paper").items() if name not in COMMON and name != "policy_kwargs"}

# For comparison with the adaptive cutoff: the same in all but the step at which advice is let go.
FIXED: dict[str, tuple[type[VARL], dict[str, Any]]] = {
    f"{method}-{step // 1000}k": (VARL, {"cutoff": "linear", "cutoff_step": step})
    for method in ("varl", "varl-wrong")
    for step in (20_000, 30_000, 40_000)
}

METHODS: dict[str, tuple[type[VARL], dict[str, Any]]] = {
    "sac": (VARL, PLAIN),
    "sac+": (VARL, {}),  # a plus: with success replay and imitation of one's own successes, as varl
    "varl": (VARL, {}),
    "varl-labels": (VARL, LABELS),
    "varl-random": (VARL, LABELS),
    "varl-wrong": (VARL, {}),  # advised by plans as varl, but they are always wrong
    "varl-vlm": (VARL, {}),  # a real advisor: --advisor-file
    "varl-videos": (VARL, {"states_per_query": 8}),  # advised by trajectories, a video for each moment shown
    "paper": (VARL, PAPER),
    "rlpd": (Demonstrated, PLAIN),
    "rlpd+": (Demonstrated, {"n_steps": 3}),  # the best of as many trials as varl's: results/advice/README.md
    "rlpd-own": (OwnRlpd, {**PLAIN, "update": "autograd", "tau": 0.005, "learning_rate": 3e-4}),  # as published
    "ibrl": (Proposing, {**FOREVER, "n_steps": 3, "gamma": 0.97}),  # the best of its trials
    "her": (Hindsight, {**PLAIN, "replay_buffer_class": EndingReplayBuffer}),
    "plan": (PlanAlone, {**FOREVER, "act": 1.0, "learning_starts": 1_000_000_000}),
    "preferences": (Preferring, PLAIN),
    "preferences+": (Preferring, {}),
    "execute": (Executing, PLAIN),
    "execute-plans": (ExecutingPlans, {}),
    **FIXED,
}
PLANNED = ("varl", "varl-wrong", "execute-plans", "ibrl", "plan", *FIXED)  # advised by plans
GIVEN = {"self", "policy", "env", "advisor", "policy_kwargs", "buffer_size", "seed", "device"}  # by make_model
ALTERABLE = {"error_rate", "fresh"} | {
    name
    for kind in (SAC, VARL)
    for name, parameter in inspect.signature(kind).parameters.items()
    if name not in GIVEN and name[0] != "_" and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
}


def is_wrong(method: str) -> bool:
    """Whether the method is advised by one who is always wrong, at whatever rate of other errors."""
    return method.startswith("varl-wrong")


def asks_nobody(method: str) -> bool:
    """Whether the method is given no advice in any form."""
    return method in ("sac", "sac+", "her")


@dataclass(frozen=True)
class Setting:
    """One run of the bench. What is not as usual is part of the method's name in the tables.

    ``altered``: (name, value) pairs of --set.

    Raises:
        VarlError: the method, or the name of a pair, is not known, or its value is none that it can have.
    """

    task: str
    method: str
    seed: int
    steps: int
    error_rate: float
    misplaced: float = 0.02
    net: int = 64
    update_every: int = 2
    altered: tuple[tuple[str, Any], ...] = field(default_factory=tuple)
    advisor_file: str = "config/advisor.yaml"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise VarlError(f"unknown method {self.method!r}; {did_you_mean(self.method, list(METHODS))}")
        if self.method == "varl-videos" and (self.task in ARM_TASKS or self.task in MAZES):
            raise VarlError(
                f"videos of an expert are of Meta-World's tasks alone; leave varl-videos out of {self.task}"
            )
        for name, value in self.altered:
            if name not in ALTERABLE:
                raise VarlError(f"unknown setting {name!r}; {did_you_mean(name, sorted(ALTERABLE))}")
            if name == "error_rate":
                share = isinstance(value, int | float) and 0.0 <= value <= 1.0
                expect(share, name, value, "a share from 0 to 1: error_rate=0.3")
            if name == "trigger" and METHODS[self.method][0] in (Demonstrated, OwnRlpd, Executing):
                steps = isinstance(value, list | tuple)
                expect(steps, name, value, f"for {self.method} a list of steps: trigger=[1000,3000]")

    @property
    def label(self) -> str:
        """Method, and in brackets what is altered, or who is asked: ``varl[net=256]``, ``varl-vlm[advisor-file=a]``."""
        asked = [("advisor-file", Path(self.advisor_file).name)] if self.method == "varl-vlm" else []
        usual = {item.name: item.default for item in fields(self)}
        sized = [(n, v) for n in ("misplaced", "net", "update_every") if (v := getattr(self, n)) != usual[n]]
        changes = ",".join(f"{name}={value}" for name, value in (*asked, *sized, *self.altered))
        return f"{self.method}[{changes}]" if changes else self.method

    def with_seed(self, seed: int) -> Setting:
        """The same with another seed."""
        return replace(self, seed=seed)


class Rewarded(Progress):
    """The training environment: reward scaled, ``info["progress"]`` for the preference teacher."""

    def step(self, action: np.ndarray) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, REWARD_SCALE * float(reward), terminated, truncated, info


def make_model(setting: Setting) -> VARL:
    """The run's model, its training environment in it, ready to train."""
    kind, own = METHODS[setting.method]
    arguments = {**COMMON, **own, **dict(setting.altered)}
    error_rate = float(arguments.pop("error_rate", setting.error_rate))
    fresh = bool(arguments.pop("fresh", False))
    env = make_env(setting.task, setting.seed)
    needs_teacher = kind is Preferring
    advisor = _advisor(setting, env, error_rate, fresh)
    if isinstance(advisor, Vlm) and advisor.wants_frames:
        env = Filmed(env, advisor.world)
    if setting.method == "varl-videos":
        env = Filmed(env, Moments(env.unwrapped._env))  # type: ignore[attr-defined]
    wrapped = Rewarded(env, progress_of(setting.task, env) if needs_teacher else None)
    acted: Any = GoalEnv(wrapped, setting.task, REWARD_SCALE) if kind is Hindsight else wrapped
    venv = DummyVecEnv([lambda: Monitor(acted)])
    net = [setting.net, setting.net]
    own_policy: dict[type[VARL], Any] = {Hindsight: "MultiInputPolicy", OwnRlpd: EnsemblePolicy}
    own_kwargs: dict[str, dict[str, Any]] = {"paper": preset("paper")["policy_kwargs"], "rlpd-own": {"n_critics": 10}}
    model = kind(
        own_policy.get(kind, "MlpPolicy"),
        venv,
        advisor=advisor,
        policy_kwargs={**own_kwargs.get(setting.method, {}), "net_arch": net},
        buffer_size=setting.steps,
        seed=setting.seed,
        device="cpu",
        **arguments,
    )
    if isinstance(model, Demonstrated):
        demonstration_env = Rewarded(make_env(setting.task, setting.seed + DEMONSTRATION_SEED), None)
        expert = Labels(expert_of(setting.task, demonstration_env), error_rate, setting.seed)
        model.demonstrate(demonstration_env, expert, len(model.trigger) * model.states_per_query)  # type: ignore[arg-type]
    if isinstance(model, Executing):
        model.executor = Labels(expert_of(setting.task, env), error_rate, setting.seed)
    if isinstance(model, Preferring):
        model.error_rate = error_rate
    model.set_logger(Logger(None, []))
    model._setup_learn(setting.steps)
    th.manual_seed(setting.seed)
    return model


def _advisor(setting: Setting, env: Any, error_rate: float, fresh: bool) -> Advisor | None:
    if setting.method in PLANNED:
        plan, scene = plan_of(setting.task, env), env.get_wrapper_attr("description")
        return Plans(plan, scene, error_rate, setting.seed, setting.misplaced, is_wrong(setting.method))
    if setting.method in ("varl-labels", "paper"):
        return Labels(expert_of(setting.task, env), error_rate, setting.seed, fresh)
    if setting.method == "varl-random":
        return Random(int(np.prod(env.action_space.shape)), setting.seed)
    if setting.method == "varl-videos":
        return Videos(setting.task, error_rate, setting.seed)
    if setting.method == "varl-vlm":
        return Vlm(Path(setting.advisor_file), world_of(setting.task, env))
    return None
