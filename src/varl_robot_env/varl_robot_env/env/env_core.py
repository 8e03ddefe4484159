"""The environment without Gymnasium and without ROS: a task, a robot, and an arm that moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError
from varl_common.frame import Frame
from varl_common.poses import matrix_to_pose

from varl_robot_env.arm import Arm, ArmState, Picture
from varl_robot_env.config.robot import RobotConfig, ViewConfig
from varl_robot_env.env.sensed import sensed
from varl_robot_env.env.undo import Undo
from varl_robot_env.env.view import seen
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.safety.safety_filter import RefusedAction, SafetyFilter, Stopped
from varl_robot_env.success.labelling import Labelling
from varl_robot_env.success.moments import Label
from varl_robot_env.tasks.fit import check_fits, check_turns
from varl_robot_env.tasks.instruction import instruction
from varl_robot_env.tasks.observation import Observed
from varl_robot_env.tasks.situation import TOOL, Situation
from varl_robot_env.tasks.task import Task
from varl_robot_env.types import Array, Float32, Pose

_UNITS = {"dx": "m", "dy": "m", "dz": "m", "gripper": ""}  # of an action's axes; the others are rad


Ask = Callable[[EnvDescription, Float32, list[Frame]], bool]
"""Says of a state and its frames whether the task that is described is accomplished."""


class WaitsForPerson(RuntimeError):
    """A person must do something before an episode begins. The message says what."""


class NeedsReset(RuntimeError):
    """No episode is running."""


@dataclass(frozen=True)
class Observation:
    """What the environment looks like at one instant; fields as in Observation.msg."""

    stamp_ns: int
    state: Float32
    frames: list[Frame] = field(default_factory=list)
    pictures: Mapping[str, Picture] = field(default_factory=dict)


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
        void_steps: of the last episode, which the newest reset found void: a person took its success back.
    """

    def __init__(
        self,
        task: Task,
        robot: RobotConfig,
        arm: Arm,
        backend: str,
        dense: bool = False,
        views: Mapping[str, ViewConfig] | None = None,
        observation: str = "state",
        labelling: Labelling | None = None,
        ask: Ask | None = None,
    ) -> None:
        """Join the parts.

        Args:
            views: of the cameras that are looked at (:func:`.view.views`), by a policy, a classifier or ``labelling``.
            labelling: keeps moments with what they are; None: nothing is kept.
            ask: an advisor; None: there is none to ask.

        Raises:
            VarlError: the robot's file, its URDF and the task do not fit together.
        """
        check_fits(task, robot, backend)
        self._task, self._robot, self._arm, self._dense = task, robot, arm, dense
        urdf = robot.urdf_text()
        self._kinematics = Kinematics(urdf, robot.joints, robot.base_frame, robot.tool_frame)
        self._links = {
            name: (Kinematics(urdf, robot.joints, robot.base_frame, thing.link), np.array(thing.offset))
            for name, thing in task.config.things.items()
            if thing.link and thing.link != TOOL
        }
        self._held = {name: np.array(thing.offset) for name, thing in task.config.things.items() if thing.link == TOOL}
        self.safety = SafetyFilter(robot, self._kinematics, task.config.act)
        self._backend = backend
        self._home = np.array(robot.home)
        place, self._home_rotation = self._kinematics.forward(self._home)
        self._home_tool = _pose(place, np.eye(3))
        check_turns(task, robot, self._kinematics)
        self._rng = np.random.default_rng()
        self._state: ArmState | None = None  # None: no episode is running
        self._scene: dict[str, Pose] = {}  # where things started, or are where nothing senses them
        self._begin: dict[str, Pose] = {}
        self._wanted: dict[str, Pose] = {}  # where a person is asked to put things
        self._views, self._observation = views or {}, observation
        self._labelling, self._ask = labelling, ask
        if task.advisor_judges and ask is None:
            raise VarlError(f"task {task.name} asks an advisor whether it is done, and none is here; run it over ROS 2")
        task.check_looks(self._views)
        self._observed = self._describe(task)[1]
        self._undo = Undo(task, self._describe)
        self._ended: Situation | None = None  # of an episode that ended by itself: how things are
        self._steps = 0
        self._success_marked = self._ready = False
        self._succeeded = self._vetoed = False
        self.void_steps = 0
        self._interrupted = False  # by a stop, since the reset

    @property
    def target(self) -> Array:
        """(3,) m: where the task wants the tool or what it moves; NaN where it is no fixed place."""
        goal = self._task.goal
        return np.asarray(self._scene[goal][:3]) if goal in self._scene else np.full(3, np.nan)

    @property
    def person_judges(self) -> bool:
        """Whether it is for a person to say that the task is solved: :meth:`mark_success`."""
        return self._task.person_judges

    def mark_success(self) -> None:
        """A person says that the task is solved: the step that runs, or the next one, ends the episode so."""
        self._success_marked = True

    def veto(self) -> bool:
        """A person says that it is not solved, of the episode that runs or has just ended; whether that was kept."""
        self._vetoed = True
        return self.label(Label.FAILURE)

    def label(self, label: Label) -> bool:
        """A person says what the newest moment is; whether it was kept."""
        return self._labelling is not None and self._labelling.label(label)

    def mark_ready(self) -> None:
        """A person says that things are where an episode is to begin."""
        self._ready = True

    def interrupt(self) -> None:
        """The arm was stopped: the episode is over, and only a reset that is called from now on moves again."""
        self._state, self._interrupted, self._ended = None, True, None

    @cached_property
    def description(self) -> EnvDescription:
        """Names, units and bounds of everything that goes in and out; asked for once the arm is ready."""
        return self._describe(self._task)[0]

    def reset(self, seed: int | None = None, capture: bool = False) -> Observation:
        """Begin an episode. A ``seed`` restarts the task's random numbers.

        Raises:
            ArmError: the arm did not come to its start.
            Stopped: the safety stop is latched.
            WaitsForPerson: somebody must put things where they start; then call it again.
        """
        self._state, self._success_marked, self._interrupted = None, False, False
        self.safety.check()
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self._steps = 0
        ended, self._ended = self._ended, None
        if ended is not None and self._undo.is_needed and not self._arm.lock_step:
            self._undo.run(ended, self._act, self._rng)
        self._begin = {}
        if self._arm.places:
            self._scene = self._task.sample(self._rng, self._home_tool)
        placed = {name: pose for name, pose in self._scene.items() if self._task.config.things[name].object}
        state = self._arm.reset(self._home, self._start_gripper(), placed if self._arm.places else {}, capture)
        if self._interrupted:
            self.safety.check()  # where the stop is latched, a reset alone would not do
            raise Stopped("the arm was stopped on its way home; call reset again")
        self.safety.begin(state.gripper)
        if not self._arm.places:
            self._scene = self._place_by_hand(state)
        situation = self._situation(state)
        self._begin = dict(situation.poses)
        self._task.begin(situation)
        observation = self._observe(state, self._look(), situation, capture)
        if self._labelling:
            self._labelling.begin()
        self._state = state
        self.void_steps = int(self._vetoed and self._succeeded)
        self._vetoed = self._succeeded = False
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
        is_judged = self._task.advisor_judges and self._steps + 1 >= self._task.config.max_episode_steps
        state = self._arm.move(command.motion, command.gripper, capture or is_judged)
        pictures = self._look()
        situation = self._situation(state).seen_as({name: picture.pixels for name, picture in pictures.items()})
        if is_judged and self._ask and not self._vetoed:
            accomplished = self._ask(self.description, self._observed(situation), self._arm.frames())
            situation = replace(situation, accomplished=accomplished)
        success = self._succeeded = self._task.is_success(situation) and not self._vetoed
        if self._labelling:
            self._labelling.see(situation)
        self._steps += 1
        truncated = not success and self._steps >= self._task.config.max_episode_steps
        observation = self._observe(state, pictures, situation, capture)
        if not self._interrupted:
            self._state, self._ended = (None, situation) if success or truncated else (state, None)
        return StepResult(
            observation=observation,
            reward=self._task.reward(situation, success, self._dense),
            terminated=success,
            truncated=truncated,
            is_success=success,
            executed_action=command.executed,
            interventions=command.interventions,
        )

    def _act(self, action: Float32) -> Situation:
        """A control period of a reset."""
        command = self.safety.filter(action, self._arm.now())
        return self._situation(self._arm.move(command.motion, command.gripper, False))

    def _place_by_hand(self, state: ArmState) -> dict[str, Pose]:
        """The scene of an episode where a person has put things.

        Raises:
            WaitsForPerson: nobody has yet, or they leave no room for what is drawn.
        """
        if self._task.config.reset.person and not self._ready:
            wanted = self._wanted or self._task.sample(self._rng, self._home_tool)
            self._wanted = wanted
            places = [f"{name} to x {wanted[name][0]:.2f}, y {wanted[name][1]:.2f} m" for name in self._task.seen]
            raise WaitsForPerson(f"put {' and '.join(places) or 'things back'}, then call the service ready")
        self._ready, self._wanted = False, {}
        try:  # what is drawn keeps its distance from where things really are
            return self._task.sample(self._rng, self._home_tool, sensed(self._task, state.entities, {}))
        except VarlError as error:
            raise WaitsForPerson(f"{error}: or move what stands in its way") from None

    def _start_gripper(self) -> float | None:
        gripper = self._robot.gripper
        if gripper is None:
            return None
        return gripper.open if self._task.grasps else gripper.closed

    def _situation(self, state: ArmState) -> Situation:
        tool, rotation = self._kinematics.forward(state.joints)
        turned = rotation @ self._home_rotation.T
        poses = {TOOL: _pose(tool, turned), **self._scene, **sensed(self._task, state.entities, self._begin)}
        for name, (kinematics, offset) in self._links.items():
            position, rotation = kinematics.forward(state.joints)
            poses[name] = _pose(position + rotation @ offset, rotation)
        for name, offset in self._held.items():
            poses[name] = _pose(tool + turned @ offset, turned)
        gripper = self._robot.gripper
        opening = None
        if gripper and state.gripper is not None:
            opening = (state.gripper - gripper.closed) / (gripper.open - gripper.closed)
        velocity = self._kinematics.jacobian(state.joints)[:3] @ state.speeds
        return Situation(poses, self._begin, velocity, state.gripper, opening, state.force, self._success_marked)

    def _look(self) -> dict[str, Picture]:
        """What is seen of each camera that is looked at."""
        pictures = self._arm.pictures() if self._views else {}
        return {name: seen(pictures[name], view) for name, view in self._views.items()}

    def _observe(
        self, state: ArmState, pictures: Mapping[str, Picture], situation: Situation, capture: bool
    ) -> Observation:
        shown = {} if self._observation == "state" else pictures
        return Observation(state.stamp_ns, self._observed(situation), self._arm.frames() if capture else [], shown)

    def _describe(self, task: Task) -> tuple[EnvDescription, Observed]:
        """What ``task`` is on this robot, and its observation."""
        robot, arm, act = self._robot, self._arm, task.config.act
        shown = {} if self._observation == "state" else self._views
        scales = {"m": robot.action_scale, "rad": robot.turn.scale if robot.turn else 0.0, "": 1.0}
        observed = Observed(task.config.observe, task.config.things, robot)
        description = EnvDescription(
            task=task.name,
            robot=robot.name,
            backend=self._backend,
            instruction=instruction(task.config, robot, self._backend),
            base_frame=robot.base_frame,
            observation_names=observed.names,
            observation_units=observed.units,
            observation_low=observed.low,
            observation_high=observed.high,
            action_names=list(act),
            action_units=[_UNITS.get(axis, "rad") for axis in act],
            action_scale=np.array([scales[_UNITS.get(axis, "rad")] for axis in act]),
            entities=task.entities,
            entity_indices=[observed.positions[name] for name in task.entities],
            control_period=robot.control_period,
            max_episode_steps=task.config.max_episode_steps,
            lock_step=arm.lock_step,
            cameras=arm.cameras,
            observation=self._observation,
            observed=observed.of_the_arm if self._observation == "pixels" else list(range(len(observed.names))),
            picture_cameras=list(shown),
            picture_sides=[view.side for view in shown.values()],
        )
        return description, observed


def _pose(position: Array, rotation: Array) -> Pose:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, position
    return matrix_to_pose(matrix)
