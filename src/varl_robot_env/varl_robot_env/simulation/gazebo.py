"""Gazebo as a simulator in lock-step, without ROS: what its world is, and how a scene is brought about in it.

Gazebo has no call that puts a controlled arm somewhere, and its reset turns time back, which controllers do not bear.
So an arm is brought to its start by its own controllers, and things are put where they are to be afterwards. What comes
of it is a scene to within tolerances, not to the bit: unlike MuJoCo's, a training in Gazebo does not repeat itself.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from varl_common.errors import VarlError
from varl_common.poses import matrix_to_pose

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.simulation.lock_step import check_scene, whole_steps
from varl_robot_env.types import Pose

ENTITIES = ("block", "target")  # models of the world's file
_ARRIVED = 5e-3  # rad or m: gz_ros2_control closes on a goal by a tenth of what is left each step, as near as one waits
_AT_REST = 1e-3  # rad or m in a control period
_PATIENCE = 3.0  # s of simulated time beyond what the way takes
# From a camera as Gazebo sees it (x ahead, z up) to its optical frame (REP 103: z ahead, x right).
_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class World:
    """What the nodes must know of a world's SDF.

    Attributes:
        name: part of the names of its services.
        step_ns: its physics step.
        cameras: optical frame of each camera model in the world, by its name.
    """

    name: str
    step_ns: int
    cameras: Mapping[str, Pose]

    @classmethod
    def from_sdf(cls, path: Path) -> Self:
        """Read the world's file.

        Raises:
            VarlError: it is missing, or is not a world with a physics step.
        """
        try:
            world = ElementTree.parse(path).getroot().find("world")
        except (OSError, ElementTree.ParseError) as error:
            raise VarlError(f"{path} is not a world for Gazebo: {error}; name an SDF file") from None
        step = None if world is None else world.findtext(".//max_step_size")
        if world is None or step is None:
            raise VarlError(f"{path} has no <world> with a <max_step_size>; name a world's SDF file")
        poses = {
            model.get("name", ""): _optical(model.findtext("pose", "0 0 0 0 0 0"))
            for model in world.iter("model")
            if model.find(".//sensor/camera") is not None
        }
        return cls(world.get("name", ""), round(float(step) * 1e9), poses)


class Engine(Protocol):
    """A Gazebo that runs."""

    @property
    def time_ns(self) -> int:
        """Simulated time of the newest state."""

    @property
    def positions(self) -> Mapping[str, float]:
        """Newest position of each joint, rad or m."""

    def step(self, steps: int) -> None:
        """Let physics steps pass and wait for the state after them."""

    def command(self, controller: str, positions: Mapping[str, float], seconds: float) -> None:
        """Let ``controller`` bring its joints to ``positions`` in ``seconds``."""

    def place(self, entity: str, pose: Pose) -> None:
        """Put a model somewhere, in the base frame."""


class Gazebo:
    """Lets time pass and arranges scenes, in whole control periods."""

    def __init__(self, robot: RobotConfig, engine: Engine, step_ns: int) -> None:
        """``step_ns``: the physics step."""
        self._engine, self._step_ns, self._period_ns = engine, step_ns, robot.period_ns
        self._controllers = {robot.arm_controller: list(robot.joints)}
        self._speeds = dict(zip(robot.joints, robot.safety.joint_speed, strict=True))
        if robot.gripper:
            self._controllers[robot.gripper.controller] = [robot.gripper.joint]
            self._speeds[robot.gripper.joint] = robot.gripper.speed

    def align(self) -> None:
        """Come to a whole number of periods, when a camera at their rate takes its pictures."""
        self.advance(-self._engine.time_ns % self._period_ns)

    def advance(self, duration_ns: int) -> None:
        """Let time pass.

        Raises:
            VarlError: the duration is not a whole number of physics steps.
        """
        if steps := whole_steps(duration_ns, self._step_ns):
            self._engine.step(steps)

    def arrange(self, joints: Mapping[str, float], entities: Mapping[str, Pose]) -> None:
        """Bring the arm to rest at ``joints`` (rad, m), then put ``entities`` at their poses.

        Raises:
            VarlError: a joint or entity is not known, or the arm did not arrive.
        """
        check_scene(joints, entities, self._speeds, ENTITIES)
        takes = self._send(joints)
        due = self._engine.time_ns + round((takes + _PATIENCE) * 1e9)
        before = dict.fromkeys(joints, np.inf)
        while _off(joints, now := self._now(joints)) > _ARRIVED or _off(before, now) > _AT_REST:
            if self._engine.time_ns > due:
                off = {name: round(joints[name] - now[name], 3) for name in joints}
                raise VarlError(f"the arm did not arrive at its start, it is off by {off} rad; look what holds it")
            before = now
            self.advance(self._period_ns)
        for name, pose in entities.items():
            self._engine.place(name, pose)
        self.advance(self._period_ns)

    def _send(self, joints: Mapping[str, float]) -> float:
        """Command every controller; the seconds that the longest way takes."""
        longest = 0.0
        for controller, own in self._controllers.items():
            if not set(own) & set(joints):
                continue
            now = self._now(own)
            goal = {name: joints.get(name, now[name]) for name in own}
            seconds = max(abs(goal[name] - now[name]) / self._speeds[name] for name in own) + self._period_ns * 1e-9
            self._engine.command(controller, goal, seconds)
            longest = max(longest, seconds)
        return longest

    def _now(self, joints: Iterable[str]) -> dict[str, float]:
        positions = self._engine.positions
        return {name: positions[name] for name in joints}


def _off(joints: Mapping[str, float], positions: Mapping[str, float]) -> float:
    """Greatest distance between the two, rad or m."""
    return max((abs(joints[name] - positions[name]) for name in joints), default=0.0)


def _optical(pose: str) -> Pose:
    """A camera model's ``x y z roll pitch yaw`` as the pose of its optical frame."""
    x, y, z, *angles = (float(value) for value in pose.split())
    (sr, sp, sy), (cr, cp, cy) = np.sin(angles), np.cos(angles)
    roll = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    pitch = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    yaw = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = yaw @ pitch @ roll @ _OPTICAL, (x, y, z)
    return matrix_to_pose(matrix)
