"""Tasks: what the arm is to do, where things start, and when it is done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar

import numpy as np
from pydantic import PositiveFloat, PositiveInt, field_validator, model_validator
from varl_common.config import Config
from varl_common.errors import VarlError, did_you_mean
from varl_common.yaml_file import load_yaml

from varl_robot_env.config.robot import Vector3
from varl_robot_env.types import Array, Pose

# Tries to draw a scene in which nothing is solved from the start; more than that and the ranges leave no room.
_TRIES = 1000
_PARKED_BLOCK = (0.05, 0.42, 0.0)  # on the table, out of the arm's way
_UPRIGHT = (0.0, 0.0, 0.0, 1.0)
_DEFAULT_HALF_BLOCK = 0.02  # m


class TaskConfig(Config):
    """What every task's file says."""

    task: str
    instruction: str
    """The task in a sentence, for people and for a vision-language model; {block} and {target} are its things."""
    max_episode_steps: PositiveInt
    target_low: Vector3
    """Corner of the box in which the target is drawn, m, base frame."""
    target_high: Vector3
    start_distance: PositiveFloat
    """Least distance at the start between what is moved and where it is to go, m."""
    opens_gripper: bool = False
    """Where the task grasps: at a reset a real gripper opens, whatever it may hold; false: a person opens it."""
    judge: Literal["geometry", "person"] = "geometry"
    """Who says that it is solved: where things are, or a person by a button or service."""

    @field_validator("instruction")
    @classmethod
    def _names_things(cls, instruction: str) -> str:
        try:
            instruction.format(block="", target="")
        except (KeyError, IndexError, ValueError):
            raise ValueError("expected a sentence whose only names in braces are {block} and {target}") from None
        return instruction

    @model_validator(mode="after")
    def _box_is_a_box(self) -> Self:
        if any(low > high for low, high in zip(self.target_low, self.target_high, strict=True)):
            raise ValueError("target_low must not be above target_high; swap the corners")
        return self


class ReachConfig(TaskConfig):
    """config/tasks/reach.yaml"""

    success_radius: PositiveFloat
    """Distance of the tool from the target at which it has reached it, m."""


class PushConfig(TaskConfig):
    """config/tasks/push.yaml"""

    success_radius: PositiveFloat
    """Distance of the block's centre from the target at which it is there, m."""
    block_low: tuple[float, float]
    """Corner of the area in which the block starts, x and y, m, base frame."""
    block_high: tuple[float, float]


class LiftConfig(TaskConfig):
    """config/tasks/lift.yaml"""

    success_height: PositiveFloat
    """Height of the block's centre above the table at which it is lifted, m."""
    block_low: tuple[float, float]
    block_high: tuple[float, float]


@dataclass(frozen=True)
class Situation:
    """What a task is judged by: positions (3,) m in the base frame."""

    tool: Array
    block: Array
    target: Array


ConfigT = TypeVar("ConfigT", bound=TaskConfig)


class Task(ABC, Generic[ConfigT]):
    """A task.

    Attributes:
        grasps: the action has a gripper element, and episodes start with the gripper open.
        sees_block: the block's position is part of the observation.
    """

    config_type: type[ConfigT]
    grasps = False
    sees_block = True

    def __init__(self, config: ConfigT) -> None:
        self.config = config

    @property
    def name(self) -> str:
        return self.config.task

    @property
    def entities(self) -> list[str]:
        """The things with a position in the observation, in its order."""
        return ["tool", "block", "target"] if self.sees_block else ["tool", "target"]

    @abstractmethod
    def sample(self, rng: np.random.Generator, tool: Array) -> dict[str, Pose]:
        """Poses of ``block`` and ``target`` for an episode that starts with the tool at ``tool`` (3,) m.

        Raises:
            VarlError: the task's ranges leave no room for ``start_distance``.
        """

    @abstractmethod
    def is_success(self, situation: Situation) -> bool:
        """Whether the task is solved, by geometry."""

    @abstractmethod
    def distance(self, situation: Situation) -> float:
        """How far from solved, m: the dense reward's negative."""

    def reward(self, situation: Situation, success: bool, dense: bool) -> float:
        """Sparse: 1 on success, else 0. Dense, for comparison only: less the distance, and 1 more on success."""
        return float(success) - self.distance(situation) if dense else float(success)

    def _draw_target(self, rng: np.random.Generator, start: Array) -> Array:
        low, high = np.array(self.config.target_low), np.array(self.config.target_high)
        for _ in range(_TRIES):
            target = rng.uniform(low, high)
            if np.linalg.norm(target - start) >= self.config.start_distance:
                return target
        raise VarlError(f"task {self.name}: the target's box leaves no room for start_distance; widen it")


class Reach(Task[ReachConfig]):
    """Bring the tool to a target in the air."""

    config_type = ReachConfig
    sees_block = False

    def sample(self, rng: np.random.Generator, tool: Array) -> dict[str, Pose]:
        return {"block": _pose(np.array(_PARKED_BLOCK) + _rest()), "target": _pose(self._draw_target(rng, tool))}

    def is_success(self, situation: Situation) -> bool:
        return _distance(situation.tool, situation.target) <= self.config.success_radius

    def distance(self, situation: Situation) -> float:
        return _distance(situation.tool, situation.target)


class Push(Task[PushConfig]):
    """Push the block over the table to a target."""

    config_type = PushConfig

    def sample(self, rng: np.random.Generator, tool: Array) -> dict[str, Pose]:
        block = _draw_block(rng, self.config.block_low, self.config.block_high)
        return {"block": _pose(block), "target": _pose(self._draw_target(rng, block))}

    def is_success(self, situation: Situation) -> bool:
        return _distance(situation.block, situation.target) <= self.config.success_radius

    def distance(self, situation: Situation) -> float:
        return _distance(situation.tool, situation.block) + _distance(situation.block, situation.target)


class Lift(Task[LiftConfig]):
    """Grasp the block and raise it; the target hangs above the block's start."""

    config_type = LiftConfig
    grasps = True

    def sample(self, rng: np.random.Generator, tool: Array) -> dict[str, Pose]:
        block = _draw_block(rng, self.config.block_low, self.config.block_high)
        return {"block": _pose(block), "target": _pose(block + self._draw_target(rng, np.zeros(3)))}

    def is_success(self, situation: Situation) -> bool:
        return bool(situation.block[2] >= self.config.success_height)

    def distance(self, situation: Situation) -> float:
        return _distance(situation.tool, situation.block) + _distance(situation.block, situation.target)


TASKS: Mapping[str, type[Task[Any]]] = {"reach": Reach, "push": Push, "lift": Lift}


def load_task(path: str | Path, **overrides: Any) -> Task[Any]:
    """The task that a file in config/tasks describes; ``overrides`` replace its fields.

    Raises:
        VarlError: the file is missing, its task is unknown, or a field is wrong.
    """
    values = load_yaml(path) | overrides
    name = str(values.get("task"))
    if name not in TASKS:
        raise VarlError(f"{path}: unknown task {name!r}; {did_you_mean(name, list(TASKS))}")
    kind = TASKS[name]
    return kind(kind.config_type.from_dict(values, str(path)))


def _distance(one: Array, other: Array) -> float:
    return float(np.linalg.norm(one - other))


def _rest() -> Array:
    return np.array([0.0, 0.0, _DEFAULT_HALF_BLOCK])


def _pose(position: Array) -> Pose:
    return np.concatenate([position, _UPRIGHT])


def _draw_block(rng: np.random.Generator, low: tuple[float, float], high: tuple[float, float]) -> Array:
    return np.append(rng.uniform(low, high), _DEFAULT_HALF_BLOCK)
