"""The safety filter: the only path from an agent's action to the arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from varl_common.errors import VarlError

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.safety.braking import Braking
from varl_robot_env.types import Array, Float32

# Changes below this are arithmetic, not interventions, m and rad.
_EPSILON = 1e-6
# How far inverse kinematics may miss the point asked for before it counts as out of reach, m.
_REACHED = 1e-3


class RefusedAction(ValueError):
    """An action that no filter can make sense of: wrong size, or not finite. Nothing moves."""


class Stopped(RuntimeError):
    """The safety stop is latched. Nothing moves until :meth:`SafetyFilter.rearm`."""


@dataclass(frozen=True)
class Command:
    """What the arm is told for one control period.

    Attributes:
        joints: (n,) joint positions, rad.
        gripper: joint position of the gripper, m; None where the task leaves it alone.
        executed: the action that this amounts to, each in [-1, 1].
        interventions: what the filter changed, by name, in the order of its rules.
    """

    joints: Array
    gripper: float | None
    executed: Float32
    interventions: tuple[str, ...]


class SafetyFilter:
    """Turns actions in [-1, 1] into joint commands that stay inside every bound of the robot's file.

    An action moves the *commanded* tool pose, not the measured one: with the measured one, whatever the servos lag or
    sag becomes part of the next command, so an arm told to stand still creeps, and small actions vanish in friction.
    The leash keeps the commanded pose near the measured one, so that an arm that is blocked does not wind up force.

    Rules, in order: ``clip`` to [-1, 1]; ``leash``; ``workspace`` box; ``unreachable`` (stay); ``joint_limit``;
    ``velocity`` (the whole joint step is shortened); ``workspace`` again for what the last two bent; ``acceleration``
    where the robot's file bounds it, with room kept to brake in.
    """

    def __init__(self, robot: RobotConfig, kinematics: Kinematics, with_gripper: bool) -> None:
        """Make a filter that is not yet at a pose: call :meth:`begin`.

        Raises:
            VarlError: the robot's home is outside of its own bounds.
        """
        safety = robot.safety
        self._robot, self._kinematics, self._with_gripper = robot, kinematics, with_gripper
        self._low, self._high = np.array(safety.workspace_low), np.array(safety.workspace_high)
        self._joint_low = kinematics.limits[:, 0] + safety.joint_margin
        self._joint_high = kinematics.limits[:, 1] - safety.joint_margin
        self._joint_step = np.minimum(safety.joint_speed, kinematics.speeds) * robot.control_period
        self._braking = (
            Braking(np.array(safety.joint_acceleration), robot.control_period, self._inside)
            if safety.joint_acceleration
            else None
        )
        self._home = np.array(robot.home)
        home, self._rotation = kinematics.forward(self._home)
        if self._outside(home) > 0:
            raise VarlError(
                f"{robot.source}: at home the tool is at {np.round(home, 3).tolist()}, outside of the workspace "
                f"{list(safety.workspace_low)} to {list(safety.workspace_high)}; move home or widen the box"
            )
        if (self._home < self._joint_low).any() or (self._home > self._joint_high).any():
            raise VarlError(f"{robot.source}: home is outside of the joint limits less their margin; move home")
        self._joints = self._home
        self._tool = home
        self._gripper: float | None = None
        self.stopped: str | None = None

    @property
    def size(self) -> int:
        """Elements of an action: dx, dy, dz and, where the task grasps, the gripper."""
        return 4 if self._with_gripper else 3

    def begin(self, joints: Array, gripper: float | None) -> None:
        """Take the arm's measured ``joints`` (n,) rad and ``gripper`` m as what is commanded now."""
        self._joints = np.array(joints, dtype=np.float64)
        self._tool = self._kinematics.forward(self._joints)[0]
        self._gripper = gripper
        if self._braking:
            self._braking.begin()

    def stop(self, reason: str) -> None:
        """Latch the stop; the first reason stays."""
        self.stopped = self.stopped or reason

    def rearm(self) -> None:
        """Leave the stop. Call :meth:`begin` before the arm moves again."""
        self.stopped = None

    def check(self) -> None:
        """Pass unless stopped.

        Raises:
            Stopped: the stop is latched.
        """
        if self.stopped is not None:
            raise Stopped(f"the safety stop is latched ({self.stopped}); clear its cause, then rearm")

    def filter(self, action: ArrayLike, measured: Array) -> Command:
        """The command for ``action``, given the ``measured`` joints (n,) rad.

        Raises:
            RefusedAction: wrong size or not finite.
            Stopped: the stop is latched.
        """
        asked = self._checked(action)
        self.check()
        changed: list[str] = []
        clipped = np.clip(asked, -1.0, 1.0)
        if (clipped != asked).any():
            changed.append("clip")

        target = self._target(clipped[:3], measured, changed)
        joints = self._joints_for(target, changed)
        tool = self._kinematics.forward(joints)[0]
        if self._outside(tool) > max(self._outside(self._tool), _REACHED):
            joints, tool = self._joints, self._tool
            changed.append("workspace")
        if self._braking and self._inside(self._joints):
            wanted = joints
            joints = self._braking.toward(self._joints, wanted)
            if np.abs(joints - wanted).max() > _EPSILON:
                changed.append("acceleration")
                tool = self._kinematics.forward(joints)[0]

        executed = clipped.copy()
        if set(changed) - {"clip"}:
            executed[:3] = np.clip((tool - self._tool) / self._robot.action_scale, -1.0, 1.0)
        self._joints, self._tool = joints, tool
        if self._with_gripper:
            self._gripper = self._gripper_step(clipped[3])
        return Command(
            joints,
            self._gripper if self._with_gripper else None,
            executed.astype(np.float32),
            tuple(dict.fromkeys(changed)),
        )

    def _checked(self, action: ArrayLike) -> Array:
        try:
            asked = np.asarray(action, dtype=np.float64)
        except (TypeError, ValueError):
            raise RefusedAction(f"the action {action!r} is not numbers; expected {self.size} of them") from None
        if asked.shape != (self.size,):
            shape = asked.size if asked.ndim == 1 else f"shape {asked.shape}"
            raise RefusedAction(f"the action has {shape} elements; expected {self.size}, each in [-1, 1]")
        if not np.isfinite(asked).all():
            raise RefusedAction(f"the action {asked.tolist()} is not finite; expected numbers in [-1, 1]")
        return asked

    def _target(self, delta: Array, measured: Array, changed: list[str]) -> Array:
        """Where the tool is to go, m."""
        scale = self._robot.action_scale
        target = self._tool + scale * delta
        tool = self._kinematics.forward(measured)[0]
        length = float(np.linalg.norm(target - tool))
        if length > self._robot.safety.leash:
            target = tool + (target - tool) * (self._robot.safety.leash / length)
            changed.append("leash")
        boxed = np.clip(target, self._low, self._high)
        if np.abs(boxed - target).max() > _EPSILON:
            changed.append("workspace")
        # From outside of the box (an arm left there by hand) the way back is no faster than any other.
        return self._tool + np.clip(boxed - self._tool, -scale, scale)

    def _joints_for(self, target: Array, changed: list[str]) -> Array:
        joints, miss = self._kinematics.inverse(target, self._rotation, self._joints, self._home)
        if miss > _REACHED:
            changed.append("unreachable")
            return self._joints
        inside = np.clip(joints, self._joint_low, self._joint_high)
        if np.abs(inside - joints).max() > _EPSILON:
            changed.append("joint_limit")
        step = inside - self._joints
        excess = float((np.abs(step) / self._joint_step).max())
        if excess > 1.0 + _EPSILON:
            changed.append("velocity")
            step = step / excess
        return self._joints + step

    def _gripper_step(self, action: float) -> float | None:
        gripper = self._robot.gripper
        if gripper is None or self._gripper is None:
            return None
        goal = gripper.open + (gripper.closed - gripper.open) * (action + 1.0) / 2.0
        step = gripper.speed * self._robot.control_period
        return self._gripper + float(np.clip(goal - self._gripper, -step, step))

    def _inside(self, joints: Array) -> bool:
        """Whether the joints are within their limits and the tool within the workspace, arithmetic aside."""
        if (joints < self._joint_low - _EPSILON).any() or (joints > self._joint_high + _EPSILON).any():
            return False
        return self._outside(self._kinematics.forward(joints)[0]) <= _REACHED

    def _outside(self, tool: Array) -> float:
        """How far ``tool`` is outside of the workspace, m; 0 inside."""
        return float(np.maximum(np.maximum(self._low - tool, tool - self._high), 0.0).max())
