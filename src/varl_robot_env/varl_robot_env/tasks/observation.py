"""What of a situation is observed: names, units, bounds and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation
from varl_common.errors import VarlError, did_you_mean

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.config.things import ThingConfig
from varl_robot_env.tasks.situation import TOOL, Situation
from varl_robot_env.types import Array, Float32

OF_THE_ARM = (TOOL, "velocity", "gripper", "force")
# Bounds of the observation beyond the workspace; what leaves them is observed at the bound.
TOOL_MARGIN = 0.02  # m: servos overshoot
_THING_MARGIN = 0.08  # m: it can be pushed farther than the tool goes
_TOOL_SPEED = 0.5  # m/s: twice what an action asks for
_FORCE = 50.0  # N, where the robot's file has no limit
_NEAR = 0.03  # m: scaled to it, a policy tells millimetres apart, which it hardly does as the difference of two places


def check_observed(observe: Iterable[str], things: Iterable[str]) -> None:
    """That a task's ``observe`` names what there is.

    Raises:
        ValueError: it does not; the message names the nearest that there is.
    """
    things = list(things)
    turns = (f"{name}.{kind}" for kind in ("yaw", "rotation") for name in (TOOL, *things))
    known = [*OF_THE_ARM, *things, *turns, *(f"{name}.near" for name in things)]
    for item in observe:
        if item not in known:
            raise ValueError(f"observe: there is no {item!r}; {did_you_mean(item, known)}")


class Observed:
    """The elements of an observation, in the order of a task's ``observe``.

    ``tool`` and things are positions, m; ``velocity`` is the tool's, m/s; ``gripper`` is its way from closed, m (rad);
    ``force`` on the tool, N. ``<name>.yaw`` is the turn about the vertical as cosine and sine, ``<name>.rotation`` the
    whole orientation as the base frame's coordinates of its x and y axes (Zhou et al., arXiv 1812.07035: six numbers
    that change as little as it turns little). The tool's is told since home: as it stands there, it has turned by 0.
    ``<name>.near`` is where a thing is from the tool, m, along the base frame's axes and to 3 cm at most on each.

    Attributes:
        names: of each element.
        units: of each element.
        low: (n,) least values.
        high: (n,) greatest values.
        positions: the element at which each observed position begins.
        of_the_arm: the elements that the arm feels of itself, by their indices.
    """

    def __init__(self, observe: Iterable[str], things: Mapping[str, ThingConfig], robot: RobotConfig) -> None:
        """Raises VarlError where the robot has no such thing to observe."""
        self.names: list[str] = []
        self.units: list[str] = []
        self.positions: dict[str, int] = {}
        self.of_the_arm: list[int] = []
        self._items, self._gripper = list(observe), robot.gripper
        low, high = np.array(robot.safety.workspace_low), np.array(robot.safety.workspace_high)
        lows: list[Any] = []
        highs: list[Any] = []

        def add(names: Iterable[str], unit: str, least: Any, most: Any) -> None:
            names = list(names)
            self.names.extend(names)
            self.units.extend([unit] * len(names))
            lows.extend(np.broadcast_to(least, len(names)))
            highs.extend(np.broadcast_to(most, len(names)))

        for item in self._items:
            first = len(self.names)
            if item == "velocity":
                add((f"tool_v{axis}" for axis in "xyz"), "m/s", -_TOOL_SPEED, _TOOL_SPEED)
            elif item == "force":
                most = robot.driver.wrench.force if robot.driver.wrench else _FORCE
                add((f"force_{axis}" for axis in "xyz"), "N", -most, most)
            elif item == "gripper":
                if robot.gripper is None:
                    raise VarlError(f"the task observes the gripper, and {robot.name} has none; see its file")
                add(["gripper"], "m", 0.0, abs(robot.gripper.open - robot.gripper.closed))
            elif item.endswith(".yaw"):
                name = item.removesuffix(".yaw")
                add([f"{name}_cos", f"{name}_sin"], "", -1.0, 1.0)
            elif item.endswith(".near"):
                name = item.removesuffix(".near")
                add((f"{name}_near_{axis}" for axis in "xyz"), "m", -_NEAR, _NEAR)
            elif item.endswith(".rotation"):
                name = item.removesuffix(".rotation")
                add([f"{name}_{axis}{part}" for axis in "xy" for part in "xyz"], "", -1.0, 1.0)
            else:
                self.positions[item] = len(self.names)
                axes = (f"{item}_{axis}" for axis in "xyz")
                if item != TOOL and things[item].sensed:
                    add(axes, "m", np.append(low[:2] - _THING_MARGIN, 0.0), high + _THING_MARGIN)
                else:
                    add(axes, "m", low - TOOL_MARGIN, high + TOOL_MARGIN)
            if item.partition(".")[0] in OF_THE_ARM:
                self.of_the_arm += range(first, len(self.names))
        self.low, self.high = np.array(lows, dtype=np.float32), np.array(highs, dtype=np.float32)

    def __call__(self, situation: Situation) -> Float32:
        """(n,) numbers, within their bounds."""
        parts = [self._numbers(item, situation) for item in self._items]
        return np.clip(np.concatenate(parts).astype(np.float32), self.low, self.high)

    def _numbers(self, item: str, situation: Situation) -> Array:
        if item == "velocity":
            return situation.velocity
        if item == "gripper":
            assert self._gripper
            assert situation.gripper is not None
            sign = 1.0 if self._gripper.open > self._gripper.closed else -1.0
            return np.array([sign * (situation.gripper - self._gripper.closed)])
        if item == "force":
            if situation.force is None:
                raise VarlError("the task observes the force on the tool, which nothing measures; see the robot's file")
            return situation.force
        if item.endswith(".yaw"):
            turned = Rotation.from_quat(situation.poses[item.removesuffix(".yaw")][3:]).apply([1.0, 0.0, 0.0])
            return turned[:2] / max(float(np.hypot(*turned[:2])), 1e-9)
        if item.endswith(".rotation"):
            matrix = Rotation.from_quat(situation.poses[item.removesuffix(".rotation")][3:]).as_matrix()
            return matrix[:, :2].T.ravel()
        if item.endswith(".near"):
            return situation.position(item.removesuffix(".near")) - situation.position(TOOL)
        return situation.position(item)
