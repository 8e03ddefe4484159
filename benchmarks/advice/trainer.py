"""Trains a group of runs that are alike in shape, all in this process, and writes their results as they come."""

from __future__ import annotations

import csv
import fcntl
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch as th
from varl_agent.varl import VARL

from benchmarks.advice.environments import make_env
from benchmarks.advice.rivals import Executing, Preferring
from benchmarks.advice.setting import EVALUATION_SEED, Setting, make_model
from benchmarks.advice.stacked import StackedVARL

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
)
POINTS = 20  # rows of a run: success over its last training episodes
EXAMS = (25_000, 50_000, 100_000)  # steps at which, and at the end, the deterministic policy is examined
EPISODES = 10  # of an examination
RECENT = 50  # training episodes behind train_success_rate


def train(settings: Sequence[Setting], out: Path, tick: Callable[[int], None]) -> None:
    """Train all of ``settings`` to the end; rows go to ``out``; ``tick(steps)`` after every so many steps of each."""
    th.set_num_threads(1)
    np.random.seed(settings[0].seed)  # noqa: NPY002 (SB3 samples its replay by the global generator)
    first = settings[0]
    models = [make_model(setting) for setting in settings]
    stack = StackedVARL(models)
    exams = [make_env(setting.task, setting.seed + EVALUATION_SEED) for setting in settings]
    found = [-1] * len(models)
    began = time.monotonic()
    every = max(first.steps // POINTS, 1)
    for step in range(1, first.steps + 1):
        _advance(models, stack)
        for k, model in enumerate(models):
            if found[k] < 0 and model.successes.episodes:
                found[k] = step
        if step > models[0].learning_starts and step % first.update_every == 0:
            stack.train(models[0].batch_size)
        if step % every == 0 or step == first.steps:
            due = step == first.steps or any(step - every < exam <= step for exam in EXAMS)
            rates = list(examine(stack, exams)) if due else [None] * len(models)
            wall = (time.monotonic() - began) / len(models)
            rows = [_row(*each, wall) for each in zip(settings, models, rates, found, strict=True)]
            append(out, rows)
            tick(every)
    for env in exams:
        env.close()


def _advance(models: Sequence[VARL], stack: StackedVARL) -> None:
    """One environment step of every run: what SB3's ``collect_rollouts`` does, with the actions of the stack."""
    if models[0].num_timesteps < models[0].learning_starts:
        actions = np.stack([model.action_space.sample()[None] for model in models])
    else:
        actions = stack.act(np.stack([np.asarray(model._last_obs) for model in models]), deterministic=False)
    for model, action in zip(models, actions, strict=True):
        if isinstance(model, Executing):
            advised = model.advised_action(model._last_obs[0])  # type: ignore[index]
            action = action if advised is None else advised[None]
        observation, reward, done, info = model.env.step(action)  # type: ignore[union-attr]
        model.num_timesteps += 1
        model._update_info_buffer(info, done)
        model._store_transition(model.replay_buffer, action, observation, reward, done, info)  # type: ignore[arg-type]
        model._on_step()


def examine(stack: StackedVARL, envs: Sequence) -> np.ndarray:
    """(runs,) success of the deterministic policies over ``EPISODES`` episodes each."""
    won = np.zeros(len(envs))
    for _ in range(EPISODES):
        observations = [env.reset()[0] for env in envs]
        running = set(range(len(envs)))
        while running:
            actions = stack.act(np.stack(observations)[:, None], deterministic=True)[:, 0]
            for k in sorted(running):
                observations[k], _, terminated, truncated, info = envs[k].step(actions[k])
                if terminated or truncated:
                    running.remove(k)
                    won[k] += info["is_success"]
    return won / EPISODES


def _row(setting: Setting, model: VARL, rate: float | None, found: int, wall: float) -> list[object]:
    recent = list(model.ep_success_buffer or ())[-RECENT:]
    labels, queries = model.guidance.asked, model.guidance.queries
    if isinstance(model, Preferring):
        labels = queries = Preferring.labels_left - model.labels_left
    return [
        setting.task,
        setting.label,
        setting.error_rate,
        setting.seed,
        setting.steps,
        model.num_timesteps,
        "" if rate is None else round(float(rate), 3),
        round(float(np.mean(recent)) if recent else 0.0, 3),
        found,
        queries,
        labels,
        round(float(getattr(model.advisor, "seconds", 0.0)), 3),
        round(wall, 1),
    ]


def append(out: Path, rows: Sequence[Sequence[object]], columns: Sequence[str] = COLUMNS) -> None:
    """Add rows to ``out`` in one write, under a lock: several processes share the file."""
    with out.open("a+", newline="") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if file.tell() == 0:
            csv.writer(file).writerow(columns)
        csv.writer(file).writerows(rows)
        file.flush()
