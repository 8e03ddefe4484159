"""The env node: Step, Reset and DescribeEnv over an arm on ROS topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from geometry_msgs.msg import Point
from pydantic import NonNegativeFloat, NonNegativeInt, model_validator
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from varl_common.config import Config
from varl_common.host.latency import request_realtime_priority
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.messages import to_description_msg, to_time
from varl_common.ros.node import declare_parameters, run_node
from varl_common.ros.qos import LATCHED

from varl_interfaces.msg import EnvStatus, StepStatus
from varl_interfaces.srv import DescribeEnv, Reset, Step
from varl_robot_env.arm import ArmError, StaleState
from varl_robot_env.arms.driver_arm import DriverArm, with_spare
from varl_robot_env.arms.lock_step_arm import LockStepArm
from varl_robot_env.arms.simulated_scene import SimulatedScene
from varl_robot_env.arms.watched_topics import WatchedTopics
from varl_robot_env.config.driver import EstopConfig
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.env.env_core import EnvCore, NeedsReset, Observation, StepResult, WaitsForPerson
from varl_robot_env.env.view import views
from varl_robot_env.nodes.advisor_verdicts import AdvisorVerdicts
from varl_robot_env.ros.agent_presence import AgentPresence
from varl_robot_env.ros.hot_loop import HotLoop, spin_hot
from varl_robot_env.ros.joystick import JoystickConfig
from varl_robot_env.ros.observation_messages import to_observation_msg
from varl_robot_env.ros.person import Person
from varl_robot_env.ros.robot_description import with_description
from varl_robot_env.safety.inputs import InputRule
from varl_robot_env.safety.provisional import provisional
from varl_robot_env.safety.safety_filter import RefusedAction, Stopped
from varl_robot_env.simulation.description import for_simulation
from varl_robot_env.success.labelling import labelling
from varl_robot_env.tasks.task import load_task

_STATUS: dict[type[Exception], int] = {
    RefusedAction: StepStatus.INVALID_ACTION,
    NeedsReset: StepStatus.NEEDS_RESET,
    WaitsForPerson: StepStatus.STALE,
    Stopped: StepStatus.STOPPED,
    StaleState: StepStatus.STALE,
    ArmError: StepStatus.FAILED,
}


class EnvParameters(Config):
    """Parameters of the node."""

    robot_file: Path
    task_file: Path
    backend: Literal["mujoco", "gazebo", "real"] = "mujoco"
    lock_step: bool = True
    """The simulator waits for this node; false: it runs by the clock, as a real arm does. A real arm always does."""
    reward: Literal["sparse", "dense"] = "sparse"
    observation: Literal["state", "pixels", "both"] = "state"
    """What a policy sees: the state; pictures and what the arm feels of itself; pictures and the state."""
    autostart: bool = True
    """Configure and activate on start, without a lifecycle manager."""
    max_episode_steps: NonNegativeInt = 0
    """Steps after which an episode is truncated, in place of the task's; 0: the task's."""
    joystick: JoystickConfig | None = None
    """With what a person takes the arm over; None: nobody can."""
    moments: str = ""
    """Folder in which moments are kept with what they are, success or not; empty: none are."""
    held: NonNegativeInt = 0
    """Control periods for which success must hold, in place of the task's; 0: the task's."""
    beyond: NonNegativeFloat = 0.0
    """How much wider than in the robot's file the workspace is, m, up and to the sides, while a person shows it: nobody
    but a hand at the joystick acts then, and slowly. 0: it is as the file says."""

    @model_validator(mode="after")
    def _has_a_hand(self) -> Self:
        if self.beyond and self.joystick is None:
            raise ValueError(
                "beyond the workspace only a person's hand moves the arm; give a joystick, or leave it out"
            )
        return self

    def longer(self) -> dict[str, int]:
        """What replaces fields of the task's file."""
        return {"max_episode_steps": self.max_episode_steps} if self.max_episode_steps else {}


class EnvNode(LifecycleNode):
    """A lifecycle node: it answers Step and Reset while active, and refuses them with a status otherwise.

    One thread has what an agent calls and, while that waits, the arm's topics and the safety stop (``~/stop``,
    ``~/rearm``, and ``~/estop``, a Bool that any node or person may publish). Another has the lifecycle and the
    parameters. ``~/status`` tells what each step did.

    While a person holds the arm by a joystick, their actions replace the policy's, on the same way through the safety
    filter. What they say of an episode: :class:`.ros.person.Person`.
    """

    def __init__(self) -> None:
        super().__init__("env")
        self._config = parameters = declare_parameters(self, EnvParameters)
        self._agent_group, self._arm_group = MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()
        robot = RobotConfig.from_yaml(parameters.robot_file)
        if parameters.beyond:
            robot = provisional(robot, parameters.beyond)
            box = f"{robot.safety.workspace_low} to {robot.safety.workspace_high} m"
            self.get_logger().warning(f"the workspace is {box} while a person shows it by joystick")
        task = load_task(parameters.task_file, parameters.held, **parameters.longer())
        self._arm: LockStepArm | DriverArm
        self._driver: DriverArm | None = None
        self._not_ready: str | None = "the robot's state has not been asked for yet"
        self._agents = AgentPresence(self)
        self._watched = WatchedTopics(self, self._arm_group, self._on_fault)
        simulated = parameters.backend != "real"
        if simulated:
            robot = for_simulation(robot, task.feels)
        seen = views(parameters.observation, robot, task.looks or bool(parameters.moments))
        if simulated and parameters.lock_step:
            self._arm = LockStepArm(self, robot, self._arm_group, bool(task.seen), task.feels, seen)
        else:
            robot, group = with_spare(with_description(self, robot)), self._arm_group
            scene = SimulatedScene(self, robot.base_frame, group) if simulated else None
            self._arm = self._driver = DriverArm(
                self, robot, group, self._watched, self._trip, task, lambda: self._agents.lost, scene, seen
            )
        self.hot_groups = (self._agent_group, *self._arm.groups)
        self.hot_loop = HotLoop(self, self._agent_group, self._arm_group)
        self._arm_loop = HotLoop(self, self._arm_group)
        dense, keeps = parameters.reward == "dense", labelling(parameters.moments, task.config, seen)
        self._verdicts = AdvisorVerdicts(self, self._arm_group) if task.advisor_judges else None
        self._core = EnvCore(
            task, robot, self._arm, parameters.backend, dense, seen, parameters.observation, keeps, self._verdicts
        )
        if self._verdicts:
            self._verdicts.interrupted = lambda: self._core.safety.stopped is not None
        self._counts: Counter[str] = Counter()
        self._watched.watch_estop(EstopConfig(topic="~/estop"), required=False)
        self._status = self.create_publisher(EnvStatus, "~/status", LATCHED)
        self._person = Person(self, self._core, parameters.joystick, task.config.act, self._arm_group)
        self._active = False
        self.create_service(Step, "~/step", self._step, callback_group=self._agent_group)
        self.create_service(Reset, "~/reset", self._reset, callback_group=self._agent_group)
        self.create_service(DescribeEnv, "~/describe", self._describe, callback_group=self._agent_group)
        self.create_service(Trigger, "~/stop", self._stop, callback_group=self._arm_group)
        self.create_service(Trigger, "~/rearm", self._rearm, callback_group=self._arm_group)
        if self._driver:
            self.create_service(Trigger, "~/open_gripper", self._open_gripper, callback_group=self._arm_group)
        Diagnostics(self, "safety", self._health, robot.name)
        if parameters.autostart:
            self.trigger_configure()
            self.trigger_activate()

    @property
    def drives(self) -> bool:
        """Whether a real arm obeys: time does not wait for this node."""
        return self._driver is not None

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._active = False
        self._interrupt("the env node was deactivated")
        return super().on_deactivate(state)

    def destroy_node(self) -> None:
        if self._driver:
            self._driver.close()
        super().destroy_node()

    def _describe(self, request: DescribeEnv.Request, response: DescribeEnv.Response) -> DescribeEnv.Response:
        response.message = self._look_whether_ready()
        response.success = not response.message
        if response.success:
            response.description = to_description_msg(self._core.description)
        return response

    def _reset(self, request: Reset.Request, response: Reset.Response) -> Reset.Response:
        if self._refused(response):
            return response
        try:
            with self._agents.watched():
                observation = self._core.reset(request.seed if request.seeded else None, request.capture)
        except tuple(_STATUS) as error:
            if self._driver and isinstance(error, ArmError):
                self._trip(f"the reset failed: {error}")  # a person looks before anything moves again
            response.void_steps = self._driver.void_steps if self._driver else 0
            return self._failed(response, error)
        response.observation = to_observation_msg(observation, self._core.description.base_frame)
        response.void_steps = self._core.void_steps
        self._tell(observation)
        return response

    def _step(self, request: Step.Request, response: Step.Response) -> Step.Response:
        if self._refused(response):
            return response
        action, intervened = self._whose(request.action)
        try:
            result = self._core.step(action, request.capture)
        except tuple(_STATUS) as error:
            response.void_steps = self._driver.void_steps if self._driver else 0
            return self._failed(response, error)
        response.observation = to_observation_msg(result.observation, self._core.description.base_frame)
        response.reward = result.reward
        response.terminated, response.truncated = result.terminated, result.truncated
        response.is_success = result.is_success
        response.executed_action = result.executed_action.tolist()
        response.interventions = list(result.interventions)
        self._counts.update(result.interventions)
        response.source = Step.Response.HUMAN if intervened else Step.Response.POLICY
        self._tell(result.observation, action, result, intervened)
        return response

    def _whose(self, asked: Sequence[float]) -> tuple[Sequence[float], bool]:
        """The action to take, and whether it is a person's."""
        action, held, lost = self._person.action(asked, lambda: self._arm_loop.spin_once(0.0))
        if self._config.beyond and not held:
            action = [0.0] * self._core.safety.size
        if lost:
            self._trip("the joystick fell silent while a person held the arm; look what became of it")
        return action, held

    def _open_gripper(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        assert self._driver
        self._driver.open_gripper()
        response.success, response.message = True, "the gripper was told to open"
        return response

    def _stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._trip("asked for by the stop service")
        response.success, response.message = True, "stopped; call rearm to move again"
        return response

    def _rearm(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._watched.inputs.rearm()
        if cause := self._watched.inputs.reason():
            response.message = f"not rearmed: {cause}"
            return response
        self._core.safety.rearm()
        self._tell()
        response.success, response.message = True, "rearmed; call reset to begin an episode"
        return response

    def _on_fault(self, rule: InputRule, reason: str) -> None:
        """From a callback: stop now, whatever else waits. Before the arm was ready it is merely not ready."""
        if self._not_ready is None or rule.emergency:
            self._trip(reason)

    def _trip(self, reason: str) -> None:
        """Latch the stop, and let the arm stand still."""
        if self._core.safety.stopped is not None:
            return  # nothing moves, and the first reason stays
        self.get_logger().error(f"stopped: {reason}")
        self._counts["stop"] += 1
        self._core.safety.stop(reason)
        self._interrupt(reason)
        self._tell()

    def _interrupt(self, reason: str) -> None:
        """The episode is over, and the arm brakes."""
        self._core.interrupt()
        if self._driver:
            self._driver.halt(reason)

    def _tell(
        self,
        observation: Observation | None = None,
        action: Any = (),
        result: StepResult | None = None,
        intervened: bool = False,
    ) -> None:
        """Publish the status; of a step only where somebody listens: it is on the way of every action."""
        stop = self._core.safety.stopped
        if observation is not None and not self._status.get_subscription_count():
            return
        counts = self._counts + self._watched.inputs.counts
        status = EnvStatus(stopped=stop is not None, reason=stop or "", counted=list(counts), counts=counts.values())
        status.target = _point(self._core.target)
        if observation is not None:
            description = self._core.description
            status.header = Header(stamp=to_time(observation.stamp_ns), frame_id=description.base_frame)
            status.tool = _point(observation.state[:3])
            status.action_names = list(description.action_names)
            status.action_scale = description.action_scale.tolist()
        if result is not None:
            status.action, status.executed_action = action, result.executed_action.tolist()
            status.interventions, status.is_success = list(result.interventions), result.is_success
            status.intervened = intervened
        self._status.publish(status)

    def _health(self) -> Health:
        stop = self._core.safety.stopped
        waits = "" if self._active else "not active"
        # Copies, each made in one go: the other thread counts on.
        counts = {**self._counts, **self._watched.inputs.counts}
        self._watched.inputs.look_for_mismatches()
        return Health("armed", waits or self._not_ready or "", f"stopped: {stop}" if stop else "", counts)

    def _look_whether_ready(self) -> str:
        """What keeps the arm from moving, or nothing. Once it is ready, what is wrong is a stop."""
        if self._not_ready:
            try:
                self._not_ready = self._arm.not_ready_reason() or self._watched.inputs.not_ready_reason()
                if not self._not_ready and self._verdicts:
                    self._not_ready = self._verdicts.not_ready_reason()
            except ArmError as error:
                self._not_ready = str(error)
        return self._not_ready or ""

    def _refused(self, response: Step.Response | Reset.Response) -> bool:
        if not self._active:
            response.status = StepStatus.NOT_ACTIVE
            response.message = f"{self.get_name()} is not active; ros2 lifecycle set {self.get_name()} activate"
        elif problem := self._look_whether_ready():
            response.status, response.message = StepStatus.STALE, problem
        return bool(response.status)

    def _failed(self, response: Any, error: Exception) -> Any:
        response.status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
        response.message = str(error)
        return response


def _point(position: np.ndarray) -> Point:
    return Point(x=float(position[0]), y=float(position[1]), z=float(position[2]))


def main() -> None:
    """Entry point of the ``env`` executable."""

    def spin(node: EnvNode) -> None:
        if node.drives and not request_realtime_priority():
            node.get_logger().warning("Linux does not serve this node first: commands may come late (docs/hardware.md)")
        spin_hot(node)

    run_node(EnvNode, spin, has_last_words=True)
