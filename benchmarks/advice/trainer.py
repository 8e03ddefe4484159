"""Trains one run of the bench and writes its results as they come."""

from __future__ import annotations

import csv
import fcntl
import functools
import subprocess
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
import torch as th
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN
from torch import nn
from varl_agent.sac.policies import ScaledExtractor
from varl_agent.sac.varl import VARL

from benchmarks.advice.environments import make_env
from benchmarks.advice.rivals import Executing, Hindsight, PlanAlone, Proposing
from benchmarks.advice.setting import EVALUATION_SEED, Setting, make_model

Actor: TypeAlias = Callable[[np.ndarray, bool], np.ndarray]  # (obs_dim,) observation and whether to explore not

COLUMNS = (
    "task",
    "method",
    "error_rate",
    "seed",
    "total_steps",
    "step",
    "success_rate",
    "train_success_rate",
    "first_success_step",
    "queries",
    "labels",
    "advisor_s",
    "wall_s",
    "commit",
)
POINTS = 20  # rows of a run: success over its last training episodes
# Steps at which, and at the end, the deterministic policy is examined; in a run that is shorter, at each row.
EXAMS = (25_000, 50_000, 100_000)
EPISODES = 10  # of an examination
RECENT = 50  # training episodes of the policy's own, in which no plan acts, behind train_success_rate
# Made at a time: the simulator and the networks push each other out of the processor's caches, which in turns of one
# update makes both half as fast.
UPDATES = 10


def train(setting: Setting, out: Path, tick: Callable[[int], None]) -> None:
    """Train the run to its end; rows go to ``out``; ``tick(steps)`` after every so many steps."""
    th.set_num_threads(1)
    np.random.seed(setting.seed)  # noqa: NPY002 (SB3 samples its replay by the global generator)
    model = make_model(setting)
    act: Actor = model if type(model) in (PlanAlone, Hindsight) else Acting(model)  # type: ignore[assignment]
    examined: Actor = model if type(model) is Proposing else act
    exam = make_env(setting.task, setting.seed + EVALUATION_SEED)
    began, found, recent = time.monotonic(), -1, deque[bool](maxlen=RECENT)
    every = max(setting.steps // POINTS, 1)
    for step in range(1, setting.steps + 1):
        ended = advance(model, act)
        if ended is not None:
            recent.append(ended)
        if found < 0 and model.successes.own:
            found = step
        if step > model.learning_starts and step % (UPDATES * setting.update_every) == 0:
            model.train(UPDATES, model.batch_size)
        if step % every == 0 or step == setting.steps:
            due = step == setting.steps or any(step - every < at <= step for at in EXAMS) or setting.steps < EXAMS[0]
            rate = examine(examined, exam) if due else None
            append(out, [_row(setting, model, rate, recent, found, time.monotonic() - began)])
            tick(every)
    exam.close()
    model.env.close()  # type: ignore[union-attr]


def advance(model: VARL, act: Actor) -> bool | None:
    """One environment step: what SB3's ``collect_rollouts`` does, at a third of its cost for networks this small.

    Returns whether an episode of the policy's own succeeded; None: none ended.
    """
    if model.num_timesteps < model.learning_starts:
        action = model.action_space.sample()[None]
    else:
        last: Any = model._last_obs
        action = act({k: v[0] for k, v in last.items()} if isinstance(last, dict) else last[0], False)[None]  # type: ignore[arg-type]
    if isinstance(model, Executing):
        advised = model.advised_action(model._last_obs[0])  # type: ignore[index]
        action = action if advised is None else advised[None]
    action = model.turns.with_advice(action)
    observation, reward, done, info = model.env.step(action)  # type: ignore[union-attr]
    model.num_timesteps += 1
    model._update_info_buffer(info, done)
    model._store_transition(model.replay_buffer, action, observation, reward, done, info)
    model._on_step()
    return bool(model.ep_success_buffer[-1]) if done[0] and "advised" not in info[0] else None  # type: ignore[index]


class Acting:
    """The model's actor in numpy: on one state, most of torch's time, and more of SB3's ``predict``, is overhead.

    The weights are the model's own memory, so it follows every update.
    """

    def __init__(self, model: VARL) -> None:
        actor: Any = model.actor
        linears = [layer for layer in (*actor.latent_pi, actor.mu, actor.log_std) if isinstance(layer, nn.Linear)]
        layers = [(linear.weight.detach().numpy().T, linear.bias.detach().numpy()) for linear in linears]
        *self._hidden, self._mean, self._log_std = layers
        extractor = actor.features_extractor
        scaled = isinstance(extractor, ScaledExtractor)
        self._shift: Any
        self._scale: Any
        self._shift, self._scale = (extractor.shift.numpy(), extractor.scale.numpy()) if scaled else (0.0, 1.0)
        self._rng = np.random.default_rng((model.seed or 0, 23))

    def __call__(self, observation: np.ndarray, deterministic: bool) -> np.ndarray:
        """(obs_dim,) observation to (act_dim,) action in [-1, 1]."""
        h = (observation - self._shift) * self._scale
        for weight, bias in self._hidden:
            h = np.maximum(h @ weight + bias, 0.0)
        latent = h @ self._mean[0] + self._mean[1]
        if not deterministic:
            log_std = np.clip(h @ self._log_std[0] + self._log_std[1], LOG_STD_MIN, LOG_STD_MAX)
            latent = latent + np.exp(log_std) * self._rng.standard_normal(len(latent), np.float32)
        return np.tanh(latent)


def examine(act: Actor, env: gym.Env[Any, Any]) -> float:
    """Success of the deterministic policy over ``EPISODES`` episodes."""
    won = 0
    for _ in range(EPISODES):
        observation, ended = env.reset()[0], False
        info: dict[str, Any] = {}
        while not ended:
            observation, _, terminated, truncated, info = env.step(act(observation, True))
            ended = terminated or truncated
        won += bool(info["is_success"])
    return won / EPISODES


def _row(
    setting: Setting, model: VARL, rate: float | None, recent: Collection[bool], found: int, wall: float
) -> list[object]:
    labels = getattr(model, "asked_labels", model.guidance.asked)
    queries = getattr(model, "asked_queries", model.guidance.queries)
    asked = model.advisor or getattr(model, "executor", None)
    return [
        setting.task,
        setting.label,
        setting.error_rate,
        setting.seed,
        setting.steps,
        model.num_timesteps,
        "" if rate is None else round(float(rate), 3),
        round(float(np.mean(list(recent))) if recent else 0.0, 3),
        found,
        queries,
        labels,
        round(float(getattr(asked, "seconds", 0.0)), 3),
        round(wall, 1),
        commit(),
    ]


@functools.cache
def commit() -> str:
    """The code that runs, as git names it, with a ``+`` where it has been changed since; empty outside of git."""
    asked = ("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*")
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def append(out: Path, rows: Sequence[Sequence[object]], columns: Sequence[str] = COLUMNS) -> None:
    """Add rows to ``out`` in one write, under a lock: several processes share the file."""
    with out.open("a+", newline="") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if file.tell() == 0:
            csv.writer(file).writerow(columns)
        csv.writer(file).writerows(rows)
        file.flush()
