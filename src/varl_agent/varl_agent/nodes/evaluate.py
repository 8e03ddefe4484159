"""The node ``evaluate``: plays a trained policy over the graph and says how often it succeeds."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt
from rclpy.node import Node
from varl_common.host.progress import progress
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.node import declare_parameters, run_node
from varl_robot_env.ros.ros_env import EnvUnavailable

from varl_agent.deployment.episodes import episodes
from varl_agent.deployment.trained_policy import load_policy, trained_settings
from varl_agent.nodes.background_executor import executor_in_background
from varl_agent.nodes.episode_node import EpisodeSettings, first_robot
from varl_agent.pixels.encoding import encoded
from varl_agent.training.control import InterruptHandler, TrainingControl
from varl_agent.training.evaluation import EVALUATION_STREAM, EpisodeResult
from varl_agent.training.run_folder import RunFolder, write_json
from varl_agent.training.training import identity_of
from varl_agent.vec_env.parallel_env import ParallelEnv

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

    def count(self, result: EpisodeResult) -> None:
        """Count an episode, and say now and then how it stands."""
        self.results.append(result)
        if len(self.results) % REPORT_EVERY == 0:
            rate = _mean(self.results, "success")
            print(f"{len(self.results)}/{self.settings.episodes} episodes, {rate:.0%} succeeded", flush=True)

    def _health(self) -> Health:
        figures = {
            "of": self.settings.episodes,
            "success rate": _mean(self.results, "success") if self.results else 0.0,
        }
        return Health(f"{len(self.results)} episodes played", values=figures)


def evaluate(node: EvaluateNode) -> None:
    """Play, report, write evaluation.json.

    Raises:
        VarlError: the run, its checkpoint or the env node is missing or does not fit.
    """
    settings, folder = node.settings, RunFolder(node.settings.run_dir)
    trained_settings(folder)  # before waiting for anything
    control = TrainingControl()
    with InterruptHandler(control), executor_in_background(node):
        robot = encoded(first_robot(node, settings), trained_settings(folder).encoder)
        try:
            env = ParallelEnv([robot], settings.seed)
            loaded = load_policy(folder, env, identity_of(robot.description))
            words = f"{settings.episodes} episodes of {robot.description.task}"
            print(f"plays {folder.path.name}, {loaded.checkpoint}, {words}", flush=True)
            began, stopping = time.monotonic(), control.stopping.is_set
            played = episodes(loaded.model, robot, settings.seed, EVALUATION_STREAM, stopping, settings.episodes)
            for result in progress(played, "episodes", settings.episodes):
                node.count(result)
            if stopping():
                raise KeyboardInterrupt
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
        "step": loaded.step,
        "wall_s": round(time.monotonic() - began, 1),
    }
    write_json(folder.evaluation, values)
    print(f"success in {values['success_rate']:.0%} of {len(results)} episodes; {folder.evaluation}", flush=True)


def _mean(results: list[EpisodeResult], field: Any) -> float:
    return float(np.mean([getattr(episode, field) for episode in results]))


def main() -> None:
    """Run the node."""
    run_node(EvaluateNode, evaluate)
