"""A training from pictures as config/agent.yaml has it, sparse, advised three times by the task's plan, resumable; and
Stable-Baselines3's SAC from the same pictures, for as long."""

from __future__ import annotations

import time
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from varl_agent.advice.messages import AdviceAnswer, AdviceQuery, finished
from varl_agent.pixels.encoding import encoded
from varl_agent.training import checkpoint
from varl_agent.training.control import TrainingControl
from varl_agent.training.run_folder import RunFolder
from varl_agent.training.settings import LearnerSettings, make_learning, make_model
from varl_agent.training.training import Schedule, Training, identity_of
from varl_agent.vec_env.parallel_env import ParallelEnv
from varl_common.advice_status import AdviceStatus
from varl_common.task_plans import PLANS
from varl_common.yaml_file import load_yaml
from varl_robot_env.config.paths import config_folder
from varl_robot_env.env.arm_env import ArmEnv

EPISODES = 50


class Planner:
    """Answers with the plan that solves the task."""

    name = "the task's plan"

    def __init__(self, task: str) -> None:
        self._plan = PLANS[task]

    def ask(self, query: AdviceQuery) -> Future[AdviceAnswer]:
        n, width = query.actions.shape
        status = np.full(n, AdviceStatus.OK, np.uint8)
        return finished(AdviceAnswer(np.zeros((n, width), np.float32), status, plan=self._plan, advisor=self.name))


def shipped() -> dict[str, Any]:
    """The learner's parameters in config/agent.yaml."""
    return dict(load_yaml(config_folder() / "agent.yaml")["/**/learner"]["ros__parameters"])


def settings_of(folder: Path, steps: int, seed: int, encoder: dict[str, Any]) -> LearnerSettings:
    """As config/agent.yaml has it, for so many steps."""
    given = {"run_dir": str(folder), "steps": steps, "seed": seed, "evaluate_every": 0, "encoder": encoder}
    return LearnerSettings.from_dict(shipped() | given, "agent.yaml")


def train(task: str, folder: Path, steps: int, seed: int, encoder: dict[str, Any]) -> tuple[float, float]:
    """Success of ``EPISODES`` episodes of the policy after ``steps``, and the seconds that its training took; goes on
    from where ``folder`` was left."""
    torch.set_num_threads(1)
    settings = settings_of(folder, steps, seed, encoder)
    with closing(ArmEnv(task, observation="pixels")) as arm:
        pictured = encoded(arm, settings.encoder)
        env = ParallelEnv([pictured], seed)
        run, identity = RunFolder(folder), identity_of(pictured.description)
        run.checkpoints.mkdir(parents=True, exist_ok=True)
        newest = checkpoint.load_newest(run.checkpoints, identity) if any(run.checkpoints.iterdir()) else None
        model = make_model(settings, env, Planner(task), True, run.replay)
        schedule = Schedule(steps, 0, EPISODES, settings.checkpoint_every, 1, True)
        learning = make_learning(settings, model, lambda: False, True)
        training = Training(model, env, run, identity, schedule, learning, TrainingControl())
        if newest is not None:
            print(training.resume(*newest), flush=True)
        try:
            training.run()
            seconds = training.record.wall_s
            return float(np.mean([result.success for result in training.evaluate(EPISODES)])), seconds
        finally:
            training.close()


class _Until(BaseCallback):
    """Ends a training after so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._end = time.monotonic() + seconds

    def _on_step(self) -> bool:
        return time.monotonic() < self._end


def train_sb3(task: str, seconds: float, steps: int, seed: int) -> tuple[float, int]:
    """Success of ``EPISODES`` episodes of SAC's MultiInputPolicy after as many ``seconds`` or ``steps``, and the steps
    that it made: with SB3's defaults, but for gamma and the random steps at the beginning, which are as VARL's."""
    torch.set_num_threads(1)
    sac = shipped()["sac"]
    shared: dict[str, Any] = {name: sac[name] for name in ("gamma", "learning_starts")}
    with closing(ArmEnv(task, observation="pixels")) as arm:
        model = SAC("MultiInputPolicy", arm, buffer_size=steps, seed=seed, device="cpu", **shared)
        model.learn(steps, callback=_Until(seconds))
        seen = model.get_env()
        assert seen is not None
        returns, _ = evaluate_policy(model, seen, EPISODES)  # one where an episode succeeds
        return float(np.mean(returns)), model.num_timesteps
