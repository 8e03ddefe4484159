"""What a task is judged by: the arm and the things, at one instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from varl_robot_env.config.things import TOOL
from varl_robot_env.types import Array, Image, Pose

__all__ = ["TOOL", "Situation"]


@dataclass(frozen=True)
class Situation:
    """The arm and the things at one instant.

    Attributes:
        poses: pose (7,) of ``tool`` and of each thing, base frame. The tool's orientation is told since home: there it
            is that of the base frame, whatever the robot calls its axes.
        begin: the same at the begin of the episode.
        velocity: (3,) of the tool, m/s.
        gripper: position of the gripper's joint, m (rad); None where the robot has none.
        opening: of the gripper, 0 closed to 1 open; None where the robot has none.
        force: (3,) on the tool, N; None where nothing measures it.
        marked: a person has said that the task is solved.
        accomplished: an advisor, asked as the episode ended, has said so.
        pictures: of each camera that is looked at, (side, side, 3) uint8 RGB.
    """

    poses: Mapping[str, Pose]
    begin: Mapping[str, Pose] = field(default_factory=dict)
    velocity: Array = field(default_factory=lambda: np.zeros(3))
    gripper: float | None = None
    opening: float | None = None
    force: Array | None = None
    marked: bool = False
    accomplished: bool = False
    pictures: Mapping[str, Image] = field(default_factory=dict)

    def among(self, poses: Mapping[str, Pose], begin: Mapping[str, Pose]) -> Situation:
        """The same among more things, at ``poses``, in an episode that began with ``begin``."""
        return replace(self, poses={**self.poses, **poses}, begin=begin, marked=False, accomplished=False)

    def seen_as(self, pictures: Mapping[str, Image]) -> Situation:
        """The same, with what is seen of it."""
        return replace(self, pictures=pictures) if pictures else self

    def position(self, name: str) -> Array:
        """(3,) of ``tool`` or a thing, m, base frame."""
        return np.asarray(self.poses[name][:3])

    def distance(self, one: str, other: str) -> float:
        """Between two of them, m."""
        return float(np.linalg.norm(self.position(one) - self.position(other)))
