"""What an environment is: the mirror of varl_interfaces/EnvDescription for code without ROS."""

from __future__ import annotations

from dataclasses import dataclass

from varl_robot_env.types import Array, Float32


@dataclass(frozen=True)
class EnvDescription:
    """Everything that a policy or an advisor must know of an environment; fields as in EnvDescription.msg."""

    task: str
    robot: str
    backend: str
    instruction: str
    base_frame: str
    observation_names: list[str]
    observation_units: list[str]
    observation_low: Float32
    observation_high: Float32
    action_names: list[str]
    action_units: list[str]
    action_scale: Array
    entities: list[str]
    entity_indices: list[int]
    control_period: float
    max_episode_steps: int
    lock_step: bool
    cameras: list[str]
