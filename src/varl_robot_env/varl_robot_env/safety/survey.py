"""Whether an arm can work all over its box: reach, and distance from a singularity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.safety.governor import REACHED, Governor
from varl_robot_env.types import Array

_PLACES = 5  # along each edge
# Twice the damping of the inverse kinematics: nearer to a singularity it answers with what it is asked for no more.
SINGULAR = 0.04


@dataclass(frozen=True)
class Survey:
    """What was found in a box.

    Attributes:
        places: how many were looked at.
        unreached: (k, 3) those, m, that the tool does not come to, turned as at home, within the joints' limits less
            their margin.
        least: the smallest singular value of the Jacobian at the others, and where that is, m.
    """

    places: int
    unreached: Array
    least: tuple[float, Array]

    def problem(self) -> str | None:
        """Why the arm cannot work there, in a sentence."""
        value, place = self.least
        if len(self.unreached):
            share = f"{len(self.unreached)} of {self.places} places of the workspace"
            return f"the tool does not reach {share}, such as {_words(self.unreached[0])}; make it smaller"
        if value < SINGULAR:
            return (
                f"at {_words(place)} the arm is near a singularity (smallest singular value {value:.3f}, expected "
                f"{SINGULAR:g} or more); keep the workspace away from there"
            )
        return None

    def __str__(self) -> str:
        value, place = self.least
        return f"all {self.places} places reached; smallest singular value {value:.2f}, at {_words(place)}"


def survey(robot: RobotConfig, kinematics: Kinematics) -> Survey:
    """Look at a grid of places in the robot's workspace, each from the one before it."""
    governor, home = Governor(robot, kinematics), np.array(robot.home)
    _, rotation = kinematics.forward(home)
    low, high = np.array(robot.safety.workspace_low), np.array(robot.safety.workspace_high)
    steps = [np.linspace(a, b, _PLACES) for a, b in zip(low, high, strict=True)]
    unreached, least = [], (np.inf, low)
    for place in np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3):
        joints, miss = kinematics.inverse(place, rotation, home, home)
        outside = (joints < governor.joint_low) | (joints > governor.joint_high)
        if miss > REACHED or outside.any():
            unreached.append(place)
            continue
        value = float(np.linalg.svd(kinematics.jacobian(joints), compute_uv=False)[-1])
        least = min(least, (value, place), key=lambda found: found[0])
    return Survey(_PLACES**3, np.array(unreached).reshape(-1, 3), least)


def _words(place: Array) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in place) + ") m"
