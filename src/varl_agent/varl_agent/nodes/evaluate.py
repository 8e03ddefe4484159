"""The node ``evaluate``: plays a trained policy over the graph and says how often it succeeds."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt
from rclpy.node import Node
from varl_common.errors import VarlError
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.node import declare_parameters, run_node
from varl_common.yaml_file import load_yaml
from varl_robot_env.ros.ros_env import EnvUnavailable, RosEnv

from varl_agent.nodes.background_executor import executor_in_background
from varl_agent.nodes.episode_node import EpisodeSettings, first_robot
from varl_agent.sac.varl import VARL
from varl_agent.training import checkpoint
from varl_agent.training.control import InterruptHandler, TrainingControl
from varl_agent.training.evaluation import EVALUATION_STREAM, EpisodeResult, play
from varl_agent.training.run_folder import RunFolder, write_json
from varl_agent.training.settings import LearnerSettings, make_model
from varl_agent.training.training import identity_of
from varl_agent.vec_env.parallel_env import ParallelEnv, episode_seed

REPORT_EVERY = 10  # episodes


class EvaluateSettings(EpisodeSettings):
    """Parameters of the node; ``run_dir`` is the run whose policy is evaluated."""

    episodes: PositiveInt = Field(50, description="episodes to play")
    seed: NonNegativeInt = Field(10_000, description="of the scenes")


class EvaluateNode(Node):
    """Holds the parameters; :func:`evaluate` is what it does."""

    def __init__(self) -> None:
        super().__init__("evaluate")
        self.settings = declare_parameters(self, EvaluateSettings)
        self.results: list[EpisodeResult] = []
        Diagnostics(self, "evaluation", self._health)

    def _health(self) -> Health:
        figures = {
            "of": self.settings.episodes,
            "success rate": _mean(self.results, "success") if self.results else 0.0,
        }
        return Health(f"{len(self.results)} episodes played", values=figures)


def trained_settings(folder: RunFolder) -> LearnerSettings:
    """How the run in ``folder`` was trained.

    Raises:
        VarlError: there is no run, or its config.yaml is of another version.
    """
    if not folder.config.is_file():
        raise VarlError(f"{folder.path} holds no run (config.yaml is missing); train one first, or name another")
    return LearnerSettings.from_dict(load_yaml(folder.config).get("learner", {}), str(folder.config))


def load_policy(folder: RunFolder, env: ParallelEnv, robot: RosEnv) -> tuple[VARL, str, int]:
    """The newest policy of a run, the checkpoint's name and its step.

    Raises:
        VarlError: there is no checkpoint, or it is of another task, robot or version.
    """
    settings = trained_settings(folder)
    path, state = checkpoint.load_newest(folder.checkpoints, identity_of(robot.description))
    tiny = settings.model_copy(update={"sac": settings.sac.model_copy(update={"buffer_size": 1, "device": "cpu"})})
    model = make_model(tiny, env, advisor=None, lock_step=True, replay=None)
    model.policy.load_state_dict(state["model"]["parameters"]["policy"])
    return model, path.stem, state["model"]["counters"]["num_timesteps"]


def evaluate(node: EvaluateNode) -> None:
    """Play, report, write evaluation.json.

    Raises:
        VarlError: the run, its checkpoint or the env node is missing or does not fit.
    """
    settings, folder = node.settings, RunFolder(node.settings.run_dir)
    trained_settings(folder)  # before waiting for anything
    control = TrainingControl()
    with InterruptHandler(control), executor_in_background(node):
        robot = first_robot(node, settings)
        try:
            env = ParallelEnv([robot], settings.seed)
            model, name, step = load_policy(folder, env, robot)
            print(
                f"plays {folder.path.name}, {name}, {settings.episodes} episodes of {robot.description.task}",
                flush=True,
            )
            began = time.monotonic()
            _play(model, robot, node, control)
        except (KeyboardInterrupt, EnvUnavailable) as error:
            if not control.explains(error):
                raise
            print(f"stopped after {len(node.results)} episodes; nothing was written", flush=True)
            return
    results = node.results
    values = {
        "task": robot.description.task,
        "success_rate": round(_mean(results, "success"), 4),
        "mean_return": round(_mean(results, "episode_return"), 4),
        "mean_length": round(_mean(results, "length"), 2),
        "episodes": len(results),
        "seed": settings.seed,
        "step": step,
        "wall_s": round(time.monotonic() - began, 1),
    }
    write_json(folder.evaluation, values)
    print(f"success in {values['success_rate']:.0%} of {len(results)} episodes; {folder.evaluation}", flush=True)


def _play(model: VARL, robot: RosEnv, node: EvaluateNode, control: TrainingControl) -> None:
    settings, results = node.settings, node.results
    for episode in range(settings.episodes):
        if control.stopping.is_set():
            raise KeyboardInterrupt
        results.append(play(model, robot, episode_seed(settings.seed, EVALUATION_STREAM, episode)))
        if len(results) % REPORT_EVERY == 0:
            print(f"{len(results)}/{settings.episodes} episodes, {_mean(results, 'success'):.0%} succeeded", flush=True)


def _mean(results: list[EpisodeResult], field: Any) -> float:
    return float(np.mean([getattr(episode, field) for episode in results]))


def main() -> None:
    """Run the node."""
    run_node(EvaluateNode, evaluate)
