"""The node ``collect``: episodes whose moments the env node keeps, labelled by geometry or by a person who watches."""

from __future__ import annotations

import numpy as np
from pydantic import Field, PositiveInt
from rclpy.node import Node
from std_srvs.srv import Trigger
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.node import declare_parameters, run_node
from varl_common.task_plans import PLANS
from varl_robot_env.ros.ros_env import EnvUnavailable, RosEnv

from varl_agent.nodes.background_executor import executor_in_background
from varl_agent.nodes.episode_node import EpisodeSettings, first_robot
from varl_agent.nodes.keys import keys
from varl_agent.replay.erring_plan import ErringPlan
from varl_agent.training.control import InterruptHandler, TrainingControl
from varl_agent.vec_env.parallel_env import begin_episode, episode_seed

COLLECTED_STREAM = 4_000_000  # seeds of these episodes; training uses an environment's index
_KEYS = {"s": "success", "f": "veto", "n": "nearly", "r": "ready"}  # and the services of the env node


class CollectSettings(EpisodeSettings):
    """Parameters of the node; ``run_dir`` is the folder of the moments."""

    episodes: PositiveInt = Field(40, description="episodes to play")
    by_person: bool = Field(False, description="a person acts, by the joystick; else the task's plan, which errs")


class CollectNode(Node):
    """Parameters, keys, and how far it is; :func:`collect` is what it does."""

    def __init__(self) -> None:
        super().__init__("collect")
        self.settings = declare_parameters(self, CollectSettings)
        self._says = {
            key: self.create_client(Trigger, f"{self.settings.envs[0]}/{name}") for key, name in _KEYS.items()
        }
        self.words = "waits for the env node"
        Diagnostics(self, "collecting", lambda: Health(self.words))

    def say(self, words: str) -> None:
        """To the terminal and the diagnostics."""
        self.words = words
        print(words, flush=True)

    def pressed(self, key: str) -> None:
        """Tell the env node what a person says by a key."""
        if key in self._says and self._says[key].service_is_ready():
            answer = self._says[key].call_async(Trigger.Request())
            answer.add_done_callback(lambda done: print(done.result().message, flush=True))


def collect(node: CollectNode) -> None:
    """Play episodes until there are enough or Ctrl-C.

    Raises:
        VarlError: the env node is missing or died.
    """
    settings, control = node.settings, TrainingControl()
    with InterruptHandler(control) as interrupts, executor_in_background(node), keys(node.pressed) as typed:
        env = first_robot(node, settings)
        node.say(env.description.instruction)
        if typed:
            print("keys: s success, f no success, n nearly; r: things are back in place", flush=True)
        solved = 0
        try:
            for number in range(settings.episodes):
                if control.stopping.is_set():
                    break
                solved += _episode(env, settings, number, control)
                if (number + 1) % 10 == 0:
                    node.say(f"{number + 1} of {settings.episodes} episodes, {solved} solved")
        except (KeyboardInterrupt, EnvUnavailable) as error:
            if not control.explains(error):
                raise
        finally:
            interrupts.disarm()
            node.say(f"moments are kept in {settings.run_dir}: varl train-classifier moments:={settings.run_dir}")


def _episode(env: RosEnv, settings: CollectSettings, number: int, control: TrainingControl) -> bool:
    """One episode; whether it was solved."""
    description = env.description
    observation, _ = begin_episode(env, episode_seed(settings.seed, COLLECTED_STREAM, number))
    plan = None if settings.by_person else PLANS.get(description.task)
    actor = plan and ErringPlan(plan, description, number)
    action = np.zeros(len(description.action_names), np.float32)
    ended = solved = False
    while not (ended or control.stopping.is_set()):
        if actor:
            action = actor.action(observation)
        observation, _, terminated, truncated, info = env.step(action)
        ended, solved = terminated or truncated, bool(info["is_success"])
    return solved


def main() -> None:
    """Run the node."""
    run_node(CollectNode, collect)
