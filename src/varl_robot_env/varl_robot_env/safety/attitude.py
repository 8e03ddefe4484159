"""How the tool stands, against how it stands at home: its turn about the vertical, and how far it leans."""

from __future__ import annotations

import math

import numpy as np
from varl_common.poses import rotation_of, rotation_vector, yaw_of

from varl_robot_env.config.robot import TurnConfig
from varl_robot_env.types import Array

_EPSILON = 1e-6  # rad: arithmetic


class Attitude:
    """Bounds of the tool's orientation: a cone that it leans in, an angular speed, a leash.

    All rotations are matrices (3, 3) in the base frame. At home the tool leans by nothing, however it points there.
    """

    def __init__(self, turn: TurnConfig | None, home: Array) -> None:
        """``home``: rotation of the tool there. With ``turn`` None nothing is bounded."""
        self.turn, self.home = turn, home

    def yaw(self, rotation: Array) -> float:
        """The tool's turn about the vertical since home, rad."""
        return float(yaw_of(rotation @ self.home.T))

    def at_yaw(self, yaw: float) -> Array:
        """The rotation of a tool that has turned about the vertical by ``yaw`` rad since home, and leans nowhere."""
        return np.asarray(rotation_of([0.0, 0.0, yaw]) @ self.home)

    def lean(self, rotation: Array) -> float:
        """The angle that the tool leans, rad."""
        return math.acos(min(1.0, max(-1.0, float(rotation[2] @ self.home[2]))))

    def beyond(self, rotation: Array) -> float:
        """How far the tool leans out of the cone, rad; 0 in it."""
        return max(0.0, self.lean(rotation) - self.turn.cone) if self.turn else 0.0

    def in_cone(self, rotation: Array) -> Array:
        """The nearest rotation that leans no farther than the cone."""
        beyond = self.beyond(rotation)
        if beyond <= _EPSILON:
            return rotation
        up = rotation @ self.home[2]  # where the home's vertical has gone
        about = np.cross([0.0, 0.0, 1.0], up)
        length = float(np.linalg.norm(about))
        axis = about / length if length > _EPSILON else np.array([1.0, 0.0, 0.0])
        return np.asarray(rotation_of(-beyond * axis) @ rotation)

    def within_a_period(self, start: Array, rotation: Array) -> Array:
        """``rotation``, or as much of the way to it from ``start`` as an action asks for in a period."""
        if self.turn is None or self.apart(rotation, start) <= self.turn.scale:
            return rotation
        way, scale = rotation_vector(rotation @ start.T), self.turn.scale
        if np.abs(way).max() <= scale:
            return rotation
        return np.asarray(rotation_of(np.clip(way, -scale, scale)) @ start)

    @staticmethod
    def apart(one: Array, other: Array) -> float:
        """Angle between two rotations, rad."""
        return math.acos(min(1.0, max(-1.0, (float(np.vdot(one, other)) - 1.0) / 2.0)))
