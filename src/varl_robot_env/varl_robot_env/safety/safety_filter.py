"""The safety filter: the only path from an agent's action to the arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from varl_common.errors import VarlError
from varl_common.poses import rotation_of, rotation_vector

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.motion import GripperMotion, Moment, Trajectory
from varl_robot_env.safety.governor import REACHED, Governor
from varl_robot_env.types import Array, Float32

# Changes below this are arithmetic, not interventions, m and rad.
_EPSILON = 1e-6
# How far inverse kinematics may miss the orientation asked for before it counts as out of reach, rad.
_TURNED = 0.02
_MOVES, _YAW, _TURNS, _GRIPPER = ("dx", "dy", "dz"), "yaw", ("rx", "ry", "rz"), "gripper"


class RefusedAction(ValueError):
    """An action that no filter can make sense of: wrong size, or not finite. Nothing moves."""


class Stopped(RuntimeError):
    """The safety stop is latched. Nothing moves until :meth:`SafetyFilter.rearm`."""


@dataclass(frozen=True)
class Command:
    """What the arm is told for one control period.

    Attributes:
        motion: of the joints, ending at rest if no other follows.
        gripper: of the gripper; None where the task leaves it alone.
        executed: the action that this amounts to, each in [-1, 1].
        interventions: what the filter changed, by name, in the order of its rules.
    """

    motion: Trajectory
    gripper: GripperMotion | None
    executed: Float32
    interventions: tuple[str, ...]


class SafetyFilter:
    """Turns actions in [-1, 1] into motions that stay inside every bound of the robot's file.

    An action says how far the *commanded* tool pose moves and turns a period, which is a velocity: the motion comes to
    it with a bounded acceleration. It starts from the commanded pose, not the measured one: with the measured one,
    whatever the servos lag or sag becomes part of the next command, so an arm told to stand still creeps, and small
    actions vanish in friction. The leash keeps the commanded pose near the measured one, so that an arm that is blocked
    does not wind up force. A tool that no axis turns keeps its orientation at home; one that ``yaw`` turns does not
    lean; ``rx, ry, rz`` are a rotation vector in the base frame.

    Rules, in order: ``clip`` to [-1, 1]; ``workspace`` box; ``cone``; ``unreachable`` (stay); ``joint_limit``; and
    those of the :class:`~varl_robot_env.safety.governor.Governor`: ``velocity`` (the whole joint step is shortened),
    ``acceleration``, and again ``joint_limit``, ``workspace``, ``cone`` and ``leash`` for the motion with its way to
    rest.
    """

    def __init__(self, robot: RobotConfig, kinematics: Kinematics, axes: Sequence[str]) -> None:
        """Make a filter of actions along ``axes``, a task's; call :meth:`begin` at the start of an episode.

        Raises:
            VarlError: the robot's home is outside of its own bounds.
        """
        safety = robot.safety
        self._robot, self._kinematics, self._axes = robot, kinematics, list(axes)
        self.governor = Governor(robot, kinematics)
        self._attitude = self.governor.attitude
        self._home = np.array(robot.home)
        home, _ = kinematics.forward(self._home)
        if self.governor.outside(home) > 0:
            raise VarlError(
                f"{robot.source}: at home the tool is at {np.round(home, 3).tolist()}, outside of the workspace "
                f"{list(safety.workspace_low)} to {list(safety.workspace_high)}; move home or widen the box"
            )
        if (self._home < self.governor.joint_low).any() or (self._home > self.governor.joint_high).any():
            raise VarlError(f"{robot.source}: home is outside of the joint limits less their margin; move home")
        self._gripper: float | None = None
        self.stopped: str | None = None

    @property
    def size(self) -> int:
        """Elements of an action."""
        return len(self._axes)

    def begin(self, gripper: float | None) -> None:
        """Take the measured ``gripper`` (m) as what is commanded now."""
        self._gripper = gripper

    def stop(self, reason: str) -> None:
        """Latch the stop; the first reason stays."""
        self.stopped = self.stopped or reason

    def rearm(self) -> None:
        """Leave the stop."""
        self.stopped = None

    def check(self) -> None:
        """Pass unless stopped.

        Raises:
            Stopped: the stop is latched.
        """
        if self.stopped is not None:
            raise Stopped(f"the safety stop is latched ({self.stopped}); clear its cause, then rearm")

    def filter(self, action: ArrayLike, now: Moment) -> Command:
        """The command for ``action``, given what the arm does ``now``.

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

        start = self.governor.start(now)
        tool, rotation = self._kinematics.forward(start[0])
        wanted = self.toward(start[0], tool + self._motion(clipped), changed, self._turned(rotation, clipped))
        period = self._robot.control_period
        motion, kept = self.governor.next(start, wanted / period, now.measured)
        changed += kept

        executed = clipped.copy()
        if set(changed) - {"clip"}:
            after = self._kinematics.forward(start[0] + motion.at(period)[1] * period)
            self._note(executed, after[0] - tool, rotation, after[1])
        return Command(
            motion,
            self._gripper_motion(clipped[self._axes.index(_GRIPPER)]) if _GRIPPER in self._axes else None,
            executed.astype(np.float32),
            tuple(dict.fromkeys(changed)),
        )

    def toward(self, joints: Array, target: Array, changed: list[str], turned: Array | None = None) -> Array:
        """The joint step (n,) rad from ``joints`` that brings the tool, within a period, towards ``target`` (3,) m.

        ``turned`` is the orientation (3, 3) that it is to have there; None: that at home. What the step takes away
        from all that is appended to ``changed``, by name.
        """
        scale, (tool, rotation) = self._robot.action_scale, self._kinematics.forward(joints)
        boxed = self.governor.boxed(target)
        if np.abs(boxed - target).max() > _EPSILON:
            changed.append("workspace")
        # From outside of the box (an arm left there by hand) the way back is no faster than any other.
        target = tool + np.clip(boxed - tool, -scale, scale)
        turned = self._allowed(rotation, self._attitude.home if turned is None else turned, changed)
        goal, miss = self._kinematics.inverse(target, turned, joints, self._home)
        if miss > REACHED or (
            self._turns and self._attitude.apart(self._kinematics.forward(goal)[1], turned) > _TURNED
        ):
            changed.append("unreachable")
            return np.zeros_like(joints)
        inside = np.clip(goal, self.governor.joint_low, self.governor.joint_high)
        if np.abs(inside - goal).max() > _EPSILON:
            changed.append("joint_limit")
        return inside - joints

    @property
    def _turns(self) -> bool:
        """Whether the action turns the tool."""
        return _YAW in self._axes or set(_TURNS) <= set(self._axes)

    def _along(self, action: Array, axes: Sequence[str]) -> Array:
        return np.array([action[self._axes.index(axis)] for axis in axes])

    def _motion(self, action: Array) -> Array:
        """(3,) m that the tool moves in a period."""
        return self._robot.action_scale * self._along(action, _MOVES)

    def _turned(self, rotation: Array, action: Array) -> Array:
        """The orientation (3, 3) that the action asks for of a tool at ``rotation``."""
        turn = self._robot.turn
        if turn is None or not self._turns:
            return self._attitude.home
        if _YAW in self._axes:
            step = turn.scale * float(self._along(action, [_YAW])[0])
            return self._attitude.at_yaw(self._attitude.yaw(rotation) + step)
        return np.asarray(rotation_of(turn.scale * self._along(action, _TURNS)) @ rotation)

    def _allowed(self, start: Array, turned: Array, changed: list[str]) -> Array:
        """As much of the turn from ``start`` to ``turned`` as the cone and an action's scale allow."""
        attitude = self._attitude
        coned = attitude.in_cone(turned)
        if coned is not turned:
            changed.append("cone")
        step = attitude.within_a_period(start, coned)
        return step if attitude.beyond(start) else attitude.in_cone(step)

    def _note(self, executed: Array, moved: Array, before: Array, after: Array) -> None:
        """Write what the tool does, (3,) m and from one orientation to another, into the executed action."""
        ways = dict(zip(_MOVES, moved / self._robot.action_scale, strict=True))
        if self._turns and self._robot.turn:
            turned = rotation_vector(after @ before.T) / self._robot.turn.scale
            ways |= dict(zip((*_TURNS, _YAW), [*turned, turned[2]], strict=True))
        for index, axis in enumerate(self._axes):
            if axis in ways:
                executed[index] = np.clip(ways[axis], -1.0, 1.0)

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

    def _gripper_motion(self, action: float) -> GripperMotion | None:
        gripper, start = self._robot.gripper, self._gripper
        if gripper is None or start is None:
            return None
        goal = gripper.open + (gripper.closed - gripper.open) * (action + 1.0) / 2.0
        step = gripper.speed * self._robot.control_period
        self._gripper = start + float(np.clip(goal - start, -step, step))
        return GripperMotion(start, self._gripper, goal)
