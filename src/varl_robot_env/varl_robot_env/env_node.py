"""The env node: Step, Reset and DescribeEnv over an arm on ROS topics."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import Trigger
from varl_common.config import Config
from varl_common.node import declare_parameters, run_node

from varl_interfaces.msg import StepStatus
from varl_interfaces.srv import DescribeEnv, Reset, Step
from varl_robot_env.arm import ArmError, StaleState
from varl_robot_env.convert import to_description_msg, to_observation_msg
from varl_robot_env.env_core import EnvCore, NeedsReset
from varl_robot_env.hot_loop import spin_hot
from varl_robot_env.robot import RobotConfig
from varl_robot_env.ros_arm import RosArm, check_backend
from varl_robot_env.safety import RefusedAction, Stopped
from varl_robot_env.tasks import load_task

_STATUS: dict[type[Exception], int] = {
    RefusedAction: StepStatus.INVALID_ACTION,
    NeedsReset: StepStatus.NEEDS_RESET,
    Stopped: StepStatus.STOPPED,
    StaleState: StepStatus.STALE,
    ArmError: StepStatus.FAILED,
}


class EnvParameters(Config):
    """Parameters of the node."""

    robot_file: Path
    task_file: Path
    backend: Literal["mujoco", "gazebo", "real"] = "mujoco"
    reward: Literal["sparse", "dense"] = "sparse"
    autostart: bool = True
    """Configure and activate on start, without a lifecycle manager."""


class EnvNode(LifecycleNode):
    """A lifecycle node: it answers Step and Reset while active, and refuses them with a status otherwise.

    One thread has what an agent calls and, while that waits, the arm's topics and the safety stop (``~/stop``,
    ``~/rearm``). Another has the lifecycle and the parameters.
    """

    def __init__(self) -> None:
        super().__init__("env")
        self._config = parameters = declare_parameters(self, EnvParameters)
        check_backend(parameters.backend)
        self._agent_group, self._arm_group = MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()
        self.hot_groups = (self._arm_group, self._agent_group)
        robot = RobotConfig.from_yaml(parameters.robot_file)
        self._arm = RosArm(self, robot, self._arm_group)
        task = load_task(parameters.task_file)
        self._core = EnvCore(task, robot, self._arm, parameters.backend, parameters.reward == "dense")
        self._active = False
        self._missing: str | None = "the robot's state has not been asked for yet"
        self.create_service(Step, "~/step", self._step, callback_group=self._agent_group)
        self.create_service(Reset, "~/reset", self._reset, callback_group=self._agent_group)
        self.create_service(DescribeEnv, "~/describe", self._describe, callback_group=self._agent_group)
        self.create_service(Trigger, "~/stop", self._stop, callback_group=self._arm_group)
        self.create_service(Trigger, "~/rearm", self._rearm, callback_group=self._arm_group)
        if parameters.autostart:
            self.trigger_configure()
            self.trigger_activate()

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._active = False
        return super().on_deactivate(state)

    def _describe(self, request: DescribeEnv.Request, response: DescribeEnv.Response) -> DescribeEnv.Response:
        response.message = self._not_ready()
        response.success = not response.message
        if response.success:
            response.description = to_description_msg(self._core.description)
        return response

    def _reset(self, request: Reset.Request, response: Reset.Response) -> Reset.Response:
        if self._refused(response):
            return response
        try:
            observation = self._core.reset(request.seed if request.seeded else None, request.capture)
        except tuple(_STATUS) as error:
            return self._failed(response, error)
        response.observation = to_observation_msg(observation, self._core.description.base_frame)
        return response

    def _step(self, request: Step.Request, response: Step.Response) -> Step.Response:
        if self._refused(response):
            return response
        try:
            result = self._core.step(request.action, request.capture)
        except tuple(_STATUS) as error:
            return self._failed(response, error)
        response.observation = to_observation_msg(result.observation, self._core.description.base_frame)
        response.reward = result.reward
        response.terminated, response.truncated = result.terminated, result.truncated
        response.is_success = result.is_success
        response.executed_action = result.executed_action.tolist()
        response.interventions = list(result.interventions)
        return response

    def _stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._core.safety.stop("asked for by the stop service")
        response.success, response.message = True, "stopped; call rearm to move again"
        return response

    def _rearm(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._core.safety.rearm()
        response.success, response.message = True, "rearmed; call reset to begin an episode"
        return response

    def _not_ready(self) -> str:
        """What keeps the arm from moving, or nothing."""
        if self._missing:
            try:
                self._missing = self._arm.missing()
            except ArmError as error:
                self._missing = str(error)
        return self._missing or ""

    def _refused(self, response: Step.Response | Reset.Response) -> bool:
        if not self._active:
            response.status = StepStatus.NOT_ACTIVE
            response.message = f"{self.get_name()} is not active; ros2 lifecycle set {self.get_name()} activate"
        elif problem := self._not_ready():
            response.status, response.message = StepStatus.STALE, problem
        return bool(response.status)

    def _failed(self, response: Any, error: Exception) -> Any:
        response.status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
        response.message = str(error)
        return response


def main() -> None:
    """Entry point of the ``env`` executable."""
    run_node(EnvNode, lambda node: spin_hot(node, *cast(EnvNode, node).hot_groups))
