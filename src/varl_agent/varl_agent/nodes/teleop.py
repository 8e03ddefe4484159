"""The node ``teleop``: a person moves the arm by a joystick, and what succeeds is kept as demonstrations."""

from __future__ import annotations

from pydantic import Field, PositiveInt
from rclpy.node import Node
from varl_common.env_description import as_yaml
from varl_common.errors import VarlError
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.node import declare_parameters, run_node
from varl_robot_env.ros.ros_env import EnvUnavailable

from varl_agent.nodes.background_executor import executor_in_background
from varl_agent.nodes.episode_node import EpisodeSettings, first_robot
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.demonstrations import record
from varl_agent.replay.minari import export_minari
from varl_agent.training.control import InterruptHandler, TrainingControl
from varl_agent.training.run_folder import RunFolder

_CAPACITY = 100_000  # transitions: more than an hour at 20 Hz


class TeleopSettings(EpisodeSettings):
    """Parameters of the node; ``run_dir`` is the new folder of the demonstrations."""

    episodes: PositiveInt = Field(10, description="successful episodes to record")


class TeleopNode(Node):
    """Holds the parameters; :func:`teleoperate` is what it does."""

    def __init__(self) -> None:
        super().__init__("teleop")
        self.settings = declare_parameters(self, TeleopSettings)
        self._words = "waits for the env node"
        Diagnostics(self, "recording", lambda: Health(self._words))

    def say(self, words: str) -> None:
        """To the terminal and the diagnostics."""
        self._words = words
        print(words, flush=True)


def teleoperate(node: TeleopNode) -> None:
    """Record until enough episodes have succeeded or Ctrl-C, and write what there is as a Minari dataset.

    Raises:
        VarlError: the env node is missing or died, or the folder holds demonstrations already.
    """
    settings, folder, control = node.settings, RunFolder(node.settings.run_dir), TrainingControl()
    dataset = folder.path / "dataset"
    if dataset.exists():
        raise VarlError(f"{dataset} exists already; name another run_dir")
    with InterruptHandler(control) as interrupts, executor_in_background(node):
        env = first_robot(node, settings)
        spaces = env.observation_space, env.action_space
        buffer = PersistentReplayBuffer(_CAPACITY, *spaces, device="cpu", folder=folder.replay)
        folder.write_config({"env": as_yaml(env.description)})  # what the numbers are
        node.say(f"hold the joystick's deadman button and show it: {env.description.instruction}")
        try:
            record(env, buffer, settings.episodes, settings.seed, node.say, control.stopping.is_set)
        except (KeyboardInterrupt, EnvUnavailable) as error:
            if not control.explains(error):
                raise
        finally:
            interrupts.disarm()
            if buffer.size():
                name = f"varl/{env.description.task}-{env.description.robot}-v0"
                node.say(f"{export_minari(buffer, dataset, name)} episodes; train with demonstrations:={dataset}")
            buffer.store.close()


def main() -> None:
    """Run the node."""
    run_node(TeleopNode, teleoperate)
