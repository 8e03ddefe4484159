"""The environment without Gymnasium and without ROS: a task, a robot, and an arm that moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from varl_common.env_description import EnvDescription
from varl_common.frame import Frame

from varl_robot_env.arm import Arm, ArmState, StaleState
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.safety.safety_filter import RefusedAction, SafetyFilter, Stopped
from varl_robot_env.tasks.instruction import instruction
from varl_robot_env.tasks.task import Situation, Task
from varl_robot_env.types import Array, Float32, Pose

# Bounds of the observation beyond the workspace; what leaves them is observed at the bound.
_TOOL_MARGIN = 0.02  # m: servos overshoot
_BLOCK_MARGIN = 0.08  # m: it can be pushed farther than the tool goes
_TOOL_SPEED = 0.5  # m/s: twice what an action asks for


class NeedsReset(RuntimeError):
    """No episode is running."""


@dataclass(frozen=True)
class Observation:
    """What the environment looks like at one instant; fields as in Observation.msg."""

    stamp_ns: int
    state: Float32
    frames: list[Frame] = field(default_factory=list)


@dataclass(frozen=True)
class StepResult:
    """What one control period brought; fields as in Step.srv."""

    observation: Observation
    reward: float
    terminated: bool
    truncated: bool
    is_success: bool
    executed_action: Float32
    interventions: tuple[str, ...]


class EnvCore:
    """Episodes of ``task`` on ``robot``, moved through ``arm``.

    Attributes:
        safety: the filter that every action passes.
    """

    def __init__(self, task: Task[Any], robot: RobotConfig, arm: Arm, backend: str, dense: bool = False) -> None:
        """Join the parts.

        Raises:
            VarlError: the robot's file and its URDF do not fit together.
        """
        self._task, self._robot, self._arm, self._dense = task, robot, arm, dense
        self._kinematics = Kinematics(robot.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame)
        self.safety = SafetyFilter(robot, self._kinematics, task.grasps)
        self._backend = backend
        self._home = np.array(robot.home)
        self._home_tool = self._kinematics.forward(self._home)[0]
        self._rng = np.random.default_rng()
        self._state: ArmState | None = None  # None: no episode is running
        self._target = np.zeros(3)
        self._steps = 0
        self._success_marked = False
        self._interrupted = False  # by a stop, since the reset

    @property
    def target(self) -> Array:
        """(3,) m: where the task wants the tool or what it moves."""
        return self._target

    @property
    def person_judges(self) -> bool:
        """Whether it is for a person to say that the task is solved: :meth:`mark_success`."""
        return bool(self._task.config.judge == "person")

    def mark_success(self) -> None:
        """A person says that the task is solved: the step that runs, or the next one, ends the episode so."""
        self._success_marked = True

    def interrupt(self) -> None:
        """The arm was stopped: the episode is over, and only a reset that is called from now on moves again."""
        self._state, self._interrupted = None, True

    @cached_property
    def description(self) -> EnvDescription:
        """Names, units and bounds of everything that goes in and out; asked for once the arm is ready."""
        return _describe(self._task, self._robot, self._arm, self._backend)

    def reset(self, seed: int | None = None, capture: bool = False) -> Observation:
        """Begin an episode. A ``seed`` restarts the task's random numbers.

        Raises:
            ArmError: the arm did not come to its start.
            Stopped: the safety stop is latched.
        """
        self._state, self._success_marked, self._interrupted = None, False, False
        self.safety.check()
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        scene = self._task.sample(self._rng, self._home_tool)
        self._target, self._steps = scene["target"][:3], 0
        state = self._arm.reset(self._home, self._start_gripper(), scene, capture)
        if self._interrupted:
            raise Stopped("the arm was stopped on its way home; call reset again")
        self.safety.begin(state.gripper)
        observation = self._observe(state, self._situation(state), capture)
        self._state = state
        return observation

    def step(self, action: ArrayLike, capture: bool = False) -> StepResult:
        """One control period.

        Raises:
            NeedsReset: no episode is running.
            RefusedAction: wrong size or not finite; nothing moved, the episode goes on.
            Stopped: the safety stop is latched; the episode is over.
            ArmError: the arm did not do its part; the episode is over.
        """
        if self._state is None:
            self.safety.check()
            raise NeedsReset("no episode is running; call reset first")
        before, self._state = self._state, None  # an exception below ends the episode,
        try:
            command = self.safety.filter(action, self._arm.now())
        except RefusedAction:
            self._state = before  # save this one
            raise
        state = self._arm.move(command.motion, command.gripper, capture)
        situation = self._situation(state)
        success = self._success_marked if self.person_judges else self._task.is_success(situation)
        self._steps += 1
        truncated = not success and self._steps >= self._task.config.max_episode_steps
        observation = self._observe(state, situation, capture)
        if not success and not truncated and not self._interrupted:
            self._state = state
        return StepResult(
            observation=observation,
            reward=self._task.reward(situation, success, self._dense),
            terminated=success,
            truncated=truncated,
            is_success=success,
            executed_action=command.executed,
            interventions=command.interventions,
        )

    def _start_gripper(self) -> float | None:
        gripper = self._robot.gripper
        if gripper is None:
            return None
        return gripper.open if self._task.grasps else gripper.closed

    def _situation(self, state: ArmState) -> Situation:
        tool = self._kinematics.forward(state.joints)[0]
        return Situation(tool, self._block(state)[:3], self._target)

    def _block(self, state: ArmState) -> Pose:
        if not self._task.sees_block:
            return np.full(7, np.nan)
        if "block" not in state.entities:
            raise StaleState("nobody says where the block is; publish it on the entities topic")
        return state.entities["block"]

    def _observe(self, state: ArmState, situation: Situation, capture: bool) -> Observation:
        velocity = self._kinematics.jacobian(state.joints)[:3] @ state.speeds
        parts: list[Array] = [situation.tool, velocity]
        if self._task.grasps:
            parts.append(np.array([state.gripper]))
        if self._task.sees_block:
            parts.append(situation.block)
        parts.append(situation.target)
        vector = np.concatenate(parts).astype(np.float32)
        bounds = self.description
        vector = np.clip(vector, bounds.observation_low, bounds.observation_high)
        return Observation(state.stamp_ns, vector, self._arm.frames() if capture else [])


def _describe(task: Task[Any], robot: RobotConfig, arm: Arm, backend: str) -> EnvDescription:
    low, high = np.array(robot.safety.workspace_low), np.array(robot.safety.workspace_high)
    names: list[str] = []
    units: list[str] = []
    lows: list[float] = []
    highs: list[float] = []
    indices: list[int] = []

    def add(what: str, unit: str, least: Any, most: Any, axes: str = "xyz") -> None:
        names.extend(f"{what}{axis}" for axis in axes)
        units.extend([unit] * len(axes))
        lows.extend(np.broadcast_to(least, len(axes)))
        highs.extend(np.broadcast_to(most, len(axes)))

    add("tool_", "m", low - _TOOL_MARGIN, high + _TOOL_MARGIN)
    indices.append(0)
    add("tool_v", "m/s", -_TOOL_SPEED, _TOOL_SPEED)
    if task.grasps and robot.gripper:
        names.append("gripper")
        units.append("m")
        lows.append(min(robot.gripper.open, robot.gripper.closed))
        highs.append(max(robot.gripper.open, robot.gripper.closed))
    if task.sees_block:
        indices.append(len(names))
        add("block_", "m", np.append(low[:2] - _BLOCK_MARGIN, 0.0), high + _BLOCK_MARGIN)
    indices.append(len(names))
    add("target_", "m", low - _TOOL_MARGIN, high + _TOOL_MARGIN)

    gripper = (["gripper"], [""], [1.0]) if task.grasps else ([], [], [])
    return EnvDescription(
        task=task.name,
        robot=robot.name,
        backend=backend,
        instruction=instruction(task.config, robot, backend),
        base_frame=robot.base_frame,
        observation_names=names,
        observation_units=units,
        observation_low=np.array(lows, dtype=np.float32),
        observation_high=np.array(highs, dtype=np.float32),
        action_names=["dx", "dy", "dz", *gripper[0]],
        action_units=["m", "m", "m", *gripper[1]],
        action_scale=np.array([robot.action_scale] * 3 + gripper[2]),
        entities=task.entities,
        entity_indices=indices,
        control_period=robot.control_period,
        max_episode_steps=task.config.max_episode_steps,
        lock_step=arm.lock_step,
        cameras=arm.cameras,
    )
