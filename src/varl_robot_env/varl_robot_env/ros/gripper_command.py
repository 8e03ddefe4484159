"""How a gripper takes commands: by joint trajectory, position array or one of the two gripper actions."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol

from rclpy.action import ActionClient
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from varl_common.errors import VarlError
from varl_common.ros.messages import to_duration
from varl_common.ros.qos import COMMAND

from varl_robot_env.config.robot import GripperConfig, RobotConfig

# A goal that differs by less than this share of the way is the same goal: actions are not sent at the control rate.
_SAME = 0.02


class GripperCommand(Protocol):
    """Moves the gripper's joint."""

    def send(self, position: float) -> None:
        """Go to ``position`` (m, or rad for a revolute joint)."""

    def obeyed(self) -> bool:
        """Whether anybody listens."""


class TrajectoryGripper:
    """joint_trajectory_controller."""

    def __init__(self, node: Node, robot: RobotConfig, gripper: GripperConfig) -> None:
        self._joint, self._nanoseconds = gripper.joint, robot.command_ns
        self._publisher = node.create_publisher(JointTrajectory, gripper.command_name, COMMAND)

    def send(self, position: float) -> None:
        point = JointTrajectoryPoint(positions=[position], time_from_start=to_duration(self._nanoseconds))
        self._publisher.publish(JointTrajectory(joint_names=[self._joint], points=[point]))

    def obeyed(self) -> bool:
        return bool(self._publisher.get_subscription_count())


class ArrayGripper:
    """forward_command_controller."""

    def __init__(self, node: Node, robot: RobotConfig, gripper: GripperConfig) -> None:
        self._publisher = node.create_publisher(Float64MultiArray, gripper.command_name, COMMAND)

    def send(self, position: float) -> None:
        self._publisher.publish(Float64MultiArray(data=[position]))

    def obeyed(self) -> bool:
        return bool(self._publisher.get_subscription_count())


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
        self._gripper, self._sent = gripper, float("nan")
        self._client = ActionClient(node, self._type, gripper.command_name)

    def send(self, position: float) -> None:
        if abs(position - self._sent) <= _SAME * abs(self._gripper.open - self._gripper.closed):
            return
        goal = self._type.Goal()
        if self._gripper.interface == "gripper_command":
            goal.command.position, goal.command.max_effort = position, self._gripper.max_effort
        else:
            goal.command.name, goal.command.position = [self._gripper.joint], [position]
            if self._gripper.max_effort:
                goal.command.effort = [self._gripper.max_effort]
        self._client.send_goal_async(goal)
        self._sent = position

    def obeyed(self) -> bool:
        return bool(self._client.server_is_ready())


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
