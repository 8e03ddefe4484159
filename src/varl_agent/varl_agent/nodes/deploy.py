"""The node ``deploy``: a trained policy acts for as long as wanted, or whenever a client of its action wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt
from rclpy.node import Node
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.node import declare_parameters, run_node
from varl_robot_env.ros.ros_env import ArmStopped, EnvUnavailable

from varl_agent.deployment.episodes import Tally, episodes
from varl_agent.deployment.trained_policy import load_policy, trained_settings
from varl_agent.nodes.background_executor import executor_in_background
from varl_agent.nodes.episode_node import EpisodeSettings, first_robot
from varl_agent.nodes.policy_goals import Goal, PolicyGoals
from varl_agent.pixels.encoding import encoded
from varl_agent.training.control import InterruptHandler, TrainingControl
from varl_agent.training.evaluation import EpisodeResult
from varl_agent.training.run_folder import RunFolder
from varl_agent.training.training import identity_of
from varl_agent.vec_env.parallel_env import ParallelEnv

DEPLOYMENT_STREAM = 3_000_000  # seeds of deployed episodes; training uses an environment's index
REPORT_EVERY = 10  # episodes
Play = Callable[..., Iterator[EpisodeResult]]  # varl_agent.deployment.episodes, from ``stopping`` on


class DeploySettings(EpisodeSettings):
    """Parameters of the node; ``run_dir`` is the run whose policy acts."""

    episodes: NonNegativeInt = Field(0, description="episodes to play; 0: any number")
    seconds: NonNegativeFloat = Field(0.0, description="no episode begins after so long; 0: any time")
    start: Literal["now", "goal"] = Field("now", description="now, or when a goal of the action run_policy comes")


class DeployNode(Node):
    """Parameters, the action and the count; :func:`deploy` is what it does."""

    def __init__(self) -> None:
        super().__init__("deploy")
        self.settings = declare_parameters(self, DeploySettings)
        self.goals = PolicyGoals(self) if self.settings.start == "goal" else None
        self.tally = Tally()  # of all goals
        Diagnostics(self, "policy", self._health)

    def count(self, result: EpisodeResult) -> None:
        """Count an episode, and say now and then how it stands."""
        self.tally.add(result)
        if self.tally.episodes % REPORT_EVERY == 0:
            print(self.tally, flush=True)

    def _health(self) -> Health:
        figures = {"episodes": self.tally.episodes, "success rate": round(self.tally.success_rate, 4)}
        return Health("acts" if self.goals is None else "acts on goals", values=figures)


def deploy(node: DeployNode) -> None:
    """Act until enough is done or Ctrl-C; say how often it succeeded.

    Raises:
        VarlError: the run, its checkpoint or the env node is missing or does not fit.
    """
    settings, folder = node.settings, RunFolder(node.settings.run_dir)
    trained_settings(folder)  # before waiting for anything
    control = TrainingControl()
    with InterruptHandler(control) as interrupts, executor_in_background(node):
        robot = encoded(first_robot(node, settings), trained_settings(folder).encoder)
        try:
            loaded = load_policy(folder, ParallelEnv([robot], settings.seed), identity_of(robot.description))
            print(f"{folder.path.name}, {loaded.checkpoint}: {robot.description.instruction}", flush=True)
            play = partial(episodes, loaded.model, robot, settings.seed, DEPLOYMENT_STREAM)
            if node.goals is None:
                for result in play(control.stopping.is_set, settings.episodes, settings.seconds):
                    node.count(result)
            else:
                robot.unwrapped.waits_when_stopped = False
                _serve(node, node.goals, play, control)
        except (KeyboardInterrupt, EnvUnavailable) as error:
            if not control.explains(error):
                raise
        finally:
            interrupts.disarm()
            print(node.tally, flush=True)


def _serve(node: DeployNode, goals: PolicyGoals, play: Play, control: TrainingControl) -> None:
    """Work off goals until Ctrl-C."""
    print("waits for goals of the action deploy/run_policy", flush=True)
    while not control.stopping.is_set():
        if goal := goals.next():
            _work_off(node, goals, goal, play, control)


def _work_off(node: DeployNode, goals: PolicyGoals, goal: Goal, play: Play, control: TrainingControl) -> None:
    """Work on a goal and answer it, whatever ends it."""

    def stopping() -> bool:
        return control.stopping.is_set() or goal.cancelled

    tally, aborted = Tally(), "the node has ended"
    try:
        for result in play(stopping, goal.episodes, goal.seconds, node.tally.episodes):
            tally.add(result)
            node.count(result)
            goal.show(tally)
        if not control.stopping.is_set():
            aborted = ""
    except ArmStopped as error:
        aborted = str(error)
    finally:
        goals.end(goal, tally, aborted)


def main() -> None:
    """Run the node."""
    run_node(DeployNode, deploy)
