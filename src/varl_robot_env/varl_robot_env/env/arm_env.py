"""A task in process, without ROS: for the bench and for fast trials.

This module is what other packages may import of this one where they need no ROS.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError, did_you_mean

from varl_robot_env.config.paths import config_file, config_folder
from varl_robot_env.config.robot import STATE, RobotConfig
from varl_robot_env.env.env_core import EnvCore, Observation
from varl_robot_env.env.view import views
from varl_robot_env.simulation.description import for_simulation
from varl_robot_env.simulation.looks import Looks
from varl_robot_env.simulation.simulated_arm import SimulatedArm
from varl_robot_env.simulation.world import SimulatorConfig
from varl_robot_env.success.labelling import labelling
from varl_robot_env.tasks.task import load_task
from varl_robot_env.types import Float32, Image

__all__ = ["ArmEnv", "Looks", "checked_reward", "checked_seed", "make_spaces", "observed"]

REWARDS = ("sparse", "dense")
_LARGEST_SEED = 2**32 - 1


def make_spaces(description: EnvDescription) -> tuple[spaces.Space[Any], spaces.Space[Float32]]:
    """Observation and action space of an environment.

    Of the state alone it is a Box; with pictures a Dict of them, (side, side, 3) uint8 by their cameras' names, and
    ``state``, the numbers beside them.
    """
    size = len(description.action_names)
    action: Any = spaces.Box(-1.0, 1.0, (size,), dtype=np.float32)
    low, high = description.observation_low, description.observation_high
    if description.observation == "state":
        return spaces.Box(low, high, dtype=np.float32), action
    observed = list(description.observed)
    parts: dict[str, spaces.Space[Any]] = {
        camera: spaces.Box(0, 255, (side, side, 3), np.uint8)
        for camera, side in zip(description.picture_cameras, description.picture_sides, strict=True)
    }
    return spaces.Dict(parts | {STATE: spaces.Box(low[observed], high[observed], dtype=np.float32)}), action


def observed(description: EnvDescription, observation: Observation) -> tuple[Any, dict[str, Any]]:
    """What a policy sees of ``observation``, and what comes with it as ``info``: beside pictures the whole ``state``,
    and ``picture_ages``: s that each camera's picture is older than the state."""
    if description.observation == "state":
        return observation.state, {}
    parts = {name: picture.pixels for name, picture in observation.pictures.items()}
    ages = {name: (observation.stamp_ns - one.stamp_ns) * 1e-9 for name, one in observation.pictures.items()}
    numbers = observation.state[list(description.observed)]
    return {**parts, STATE: numbers}, {"state": observation.state, "picture_ages": ages}


def checked_seed(seed: int | None) -> int | None:
    """``seed`` as the wire carries it.

    Raises:
        ValueError: it is not within 0 .. 2**32 - 1.
    """
    if seed is not None and not 0 <= seed <= _LARGEST_SEED:
        raise ValueError(f"seed {seed} is out of range; expected 0 to {_LARGEST_SEED}")
    return seed


def checked_reward(reward: str) -> bool:
    """Whether ``reward`` is the dense one.

    Raises:
        VarlError: it is neither "sparse" nor "dense".
    """
    if reward not in REWARDS:
        raise VarlError(f"unknown reward {reward!r}; {did_you_mean(reward, list(REWARDS))}")
    return reward == "dense"


class ArmEnv(gymnasium.Env[Any, Float32]):
    """A task of config/tasks on a robot of config/robots, simulated by MuJoCo in this process.

    The same task, safety filter and simulator as over the graph: :class:`.ros.ros_env.RosEnv` gives the same
    trajectory, bit for bit, for the same seed and actions. ``info`` holds ``is_success``, ``executed_action``,
    ``interventions`` and, where ``capture`` is set, ``frames``.

    Attributes:
        description: names, units and bounds of everything that goes in and out.
        capture: whether steps and resets come with camera frames.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012  (Gymnasium's own way)

    def __init__(
        self,
        task: str = "reach",
        robot: str = "varl_arm",
        reward: str = "sparse",
        simulator_file: str | Path | None = None,
        render_mode: str | None = None,
        looks: Looks | None = None,
        observation: str = "state",
        moments: str | Path | None = None,
    ) -> None:
        """Make the environment.

        Args:
            task: name of a file in config/tasks, or a path that ends in .yaml.
            robot: name of a file in config/robots, or a path that ends in .yaml.
            reward: "sparse" (1 on success, else 0) or "dense".
            simulator_file: in place of config/simulator.yaml.
            render_mode: None or "rgb_array".
            looks: how far :meth:`restyle` may go; None: the one look that the configuration has.
            observation: "state", "pixels" or "both" (:func:`make_spaces`).
            moments: folder in which labelled moments are kept, for a classifier to learn from.

        Raises:
            VarlError: a file is missing or malformed.
        """
        robot_config = for_simulation(RobotConfig.from_yaml(config_file("robots", robot)))
        simulator = SimulatorConfig.from_yaml(simulator_file or config_folder() / "simulator.yaml")
        task_model = load_task(config_file("tasks", task))
        seen = views(observation, robot_config, task_model.looks or moments is not None)
        self.arm = SimulatedArm(robot_config, simulator, task_model.config.things, looks, list(seen))
        self.core = EnvCore(
            task_model,
            robot_config,
            self.arm,
            "mujoco",
            checked_reward(reward),
            seen,
            observation,
            labelling(moments, task_model.config, seen),
        )
        self.description = self.core.description
        self.capture = False
        self.render_mode = render_mode
        self.observation_space, self.action_space = make_spaces(self.description)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        observation = self.core.reset(checked_seed(seed), self.capture)
        seen, info = observed(self.description, observation)
        return seen, info | ({"frames": observation.frames} if self.capture else {})

    def step(self, action: Float32) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        result = self.core.step(action, self.capture)
        seen, info = observed(self.description, result.observation)
        info |= {
            "is_success": result.is_success,
            "executed_action": result.executed_action,
            "interventions": result.interventions,
        }
        if self.capture:
            info["frames"] = result.observation.frames
        return seen, result.reward, result.terminated, result.truncated, info

    def render(self) -> Image | None:
        """(height, width, 3) uint8 RGB of the scene, or None where the machine cannot render."""
        simulation = self.arm.simulation
        return simulation.camera.render(simulation.data) if self.render_mode == "rgb_array" else None

    def restyle(self, seed: int) -> None:
        """Give the scene another look (camera, light, colours, textures, clutter), which ``seed`` decides.

        Raises:
            VarlError: the environment was made without ``looks``.
        """
        self.arm.simulation.restyle(seed)

    def close(self) -> None:
        self.arm.close()
