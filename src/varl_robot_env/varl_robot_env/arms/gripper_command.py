"""How a gripper takes commands: by joint trajectory, position array or one of the two gripper actions."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory
from varl_common.errors import VarlError
from varl_common.ros.qos import COMMAND

from varl_robot_env.arms.gripper_goals import GripperGoals
from varl_robot_env.arms.trajectory_messages import TrajectoryMessage
from varl_robot_env.config.robot import GripperConfig, RobotConfig
from varl_robot_env.motion import GripperMotion


class GripperCommand(Protocol):
    """Moves the gripper's joint."""

    def send(self, motion: GripperMotion) -> None:
        """Carry out ``motion``; called in every period."""

    def reset(self) -> None:
        """A person looked after it: try from the start."""

    def problem(self) -> str | None:
        """Why the gripper does not do what it is told, in a sentence."""

    def not_ready_reason(self) -> str | None:
        """Why nobody would move the gripper, in a sentence; None where its driver listens."""


class _TopicGripper:
    """Told again in every period, so there is nothing to be tried again."""

    def __init__(self, node: Node, kind: Any, gripper: GripperConfig) -> None:
        self._publisher = node.create_publisher(kind, gripper.command_name, COMMAND)

    def reset(self) -> None:
        pass

    def problem(self) -> str | None:
        return None

    def not_ready_reason(self) -> str | None:
        if self._publisher.get_subscription_count():
            return None
        return f"nobody listens to the gripper's topic {self._publisher.topic_name}; start its driver and controller"


class TrajectoryGripper(_TopicGripper):
    """joint_trajectory_controller."""

    def __init__(self, node: Node, robot: RobotConfig, gripper: GripperConfig) -> None:
        super().__init__(node, JointTrajectory, gripper)
        self._period, self._message = robot.control_period, TrajectoryMessage([gripper.joint])

    def send(self, motion: GripperMotion) -> None:
        self._publisher.publish(self._message.fill(motion.way(self._period)))


class ArrayGripper(_TopicGripper):
    """forward_command_controller."""

    def __init__(self, node: Node, robot: RobotConfig, gripper: GripperConfig) -> None:
        super().__init__(node, Float64MultiArray, gripper)

    def send(self, motion: GripperMotion) -> None:
        self._publisher.publish(Float64MultiArray(data=[motion.position]))


class ActionGripper:
    """GripperActionController (GripperCommand) or parallel_gripper_action_controller (ParallelGripperCommand)."""

    def __init__(self, node: Node, robot: RobotConfig, gripper: GripperConfig) -> None:
        """Raises VarlError where the action's package is not installed."""
        name = "GripperCommand" if gripper.interface == "gripper_command" else "ParallelGripperCommand"
        try:
            self._type: Any = getattr(importlib.import_module("control_msgs.action"), name)
        except (ImportError, AttributeError):
            raise VarlError(
                f"{robot.source}: gripper interface {gripper.interface!r} needs control_msgs/action/{name}, which is "
                "not installed; apt install ros-$ROS_DISTRO-control-msgs, or use another interface"
            ) from None
        self._node, self._gripper = node, gripper
        self._ticket = 0  # of the newest goal
        self._goals, self._lock = GripperGoals(gripper.open - gripper.closed), threading.Lock()
        self._client = ActionClient(node, self._type, gripper.command_name)

    def send(self, motion: GripperMotion) -> None:
        position = motion.goal  # the server moves at a speed of its own
        with self._lock:
            if not self._goals.due(position, self._server()):
                return
            self._goals.asked(position)
            self._ticket = ticket = self._ticket + 1
        goal = self._type.Goal()
        if self._gripper.interface == "gripper_command":
            goal.command.position, goal.command.max_effort = position, self._gripper.max_effort
        else:
            goal.command.name, goal.command.position = [self._gripper.joint], [position]
            if self._gripper.max_effort:
                goal.command.effort = [self._gripper.max_effort]
        self._client.send_goal_async(goal).add_done_callback(partial(self._on_answer, ticket))

    def reset(self) -> None:
        with self._lock:
            self._goals.forgive()

    def problem(self) -> str | None:
        with self._lock:
            return self._goals.problem()

    def not_ready_reason(self) -> str | None:
        if self._client.server_is_ready():
            return None
        return f"nobody serves the gripper's action {self._gripper.command_name}; start its driver and controller"

    def _server(self) -> object:
        """Who serves the action, which a restart changes; None: nobody."""
        if not self._client.server_is_ready():
            return None
        publishers = self._node.get_publishers_info_by_topic(f"{self._gripper.command_name}/_action/status")
        return tuple(sorted(tuple(publisher.endpoint_gid) for publisher in publishers))

    def _on_answer(self, ticket: int, answer: Any) -> None:
        """In the thread that spins the rest of the node."""
        handle = answer.result()
        with self._lock:
            if handle is None or not handle.accepted:
                return self._goals.failed("is rejected")
            self._goals.accepted()
        handle.get_result_async().add_done_callback(partial(self._on_result, ticket))

    def _on_result(self, ticket: int, outcome: Any) -> None:
        answer = outcome.result()
        with self._lock:
            if ticket != self._ticket:
                return  # a newer goal took its place
            # A controller may abort where the fingers stall, which is how they hold something. Some cancel at an error.
            if answer.status == GoalStatus.STATUS_SUCCEEDED or answer.result.stalled:
                self._goals.done()
            else:
                self._goals.failed("is given up")


_COMMANDS: dict[str, Callable[[Node, RobotConfig, GripperConfig], GripperCommand]] = {
    "joint_trajectory": TrajectoryGripper,
    "position_array": ArrayGripper,
    "gripper_command": ActionGripper,
    "parallel_gripper_command": ActionGripper,
}


def make_gripper_command(node: Node, robot: RobotConfig, gripper: GripperConfig) -> GripperCommand:
    """The command that the robot's file names.

    Raises:
        VarlError: it needs a package that is not installed.
    """
    return _COMMANDS[gripper.interface](node, robot, gripper)
