"""How an arm's controller takes commands: by joint trajectory, joint positions, twist or tool pose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from varl_common.poses import matrix_to_pose
from varl_common.ros.messages import to_doubles, to_duration
from varl_common.ros.qos import COMMAND

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.types import Array

# Slack given to a trajectory that stops the arm where it is, s: as long as the servos need.
_HALT_NS = 50_000_000


class ArmCommand(Protocol):
    """Brings the arm from where it is commanded to be to the next joint positions in a control period."""

    def start(self, joints: Array, goal: Array) -> None:
        """A period begins in which the command goes from ``joints`` (n,) to ``goal`` (n,) rad."""

    def tick(self, fraction: float) -> None:
        """``fraction`` (0..1) of the period has passed; called every few milliseconds."""

    def halt(self, joints: Array) -> None:
        """Stand still at ``joints`` (n,) rad, at once."""

    def not_ready_reason(self) -> str | None:
        """Why nobody would move the arm, in a sentence; None where a controller listens."""


class TrajectoryCommand:
    """joint_trajectory_controller: one point, which the controller interpolates to; it stops there when not fed."""

    def __init__(self, node: Node, robot: RobotConfig, kinematics: Kinematics) -> None:
        self._robot = robot
        self._publisher = node.create_publisher(JointTrajectory, robot.arm_command, COMMAND)

    def start(self, joints: Array, goal: Array) -> None:
        self._send(goal, self._robot.command_ns)

    def tick(self, fraction: float) -> None:
        pass

    def halt(self, joints: Array) -> None:
        self._send(joints, _HALT_NS)

    def not_ready_reason(self) -> str | None:
        return _nobody_listens(self._publisher)

    def _send(self, goal: Array, nanoseconds: int) -> None:
        point = JointTrajectoryPoint(positions=to_doubles(goal), time_from_start=to_duration(nanoseconds))
        self._publisher.publish(JointTrajectory(joint_names=list(self._robot.joints), points=[point]))


class _Streamed:
    """For controllers that jump to what they are told: the way is streamed to them in small steps."""

    def __init__(self, node: Node, robot: RobotConfig, kinematics: Kinematics) -> None:
        self._node, self._robot, self._kinematics = node, robot, kinematics
        self._from = self._to = np.array(robot.home)

    def start(self, joints: Array, goal: Array) -> None:
        self._from, self._to = joints, goal

    def _between(self, fraction: float) -> Array:
        return self._from + (self._to - self._from) * min(fraction, 1.0)


class PositionCommand(_Streamed):
    """forward_command_controller on positions."""

    def __init__(self, node: Node, robot: RobotConfig, kinematics: Kinematics) -> None:
        super().__init__(node, robot, kinematics)
        self._publisher = node.create_publisher(Float64MultiArray, robot.arm_command, COMMAND)

    def tick(self, fraction: float) -> None:
        self._publisher.publish(Float64MultiArray(data=to_doubles(self._between(fraction))))

    def halt(self, joints: Array) -> None:
        self._publisher.publish(Float64MultiArray(data=to_doubles(joints)))

    def not_ready_reason(self) -> str | None:
        return _nobody_listens(self._publisher)


class TwistCommand(_Streamed):
    """MoveIt Servo: the tool's velocity in the base frame. Zero must be said: some servers keep the last twist."""

    def __init__(self, node: Node, robot: RobotConfig, kinematics: Kinematics) -> None:
        super().__init__(node, robot, kinematics)
        self._publisher = node.create_publisher(TwistStamped, robot.arm_command, COMMAND)

    def tick(self, fraction: float) -> None:
        speed = (self._to - self._from) / self._robot.control_period if fraction < 1.0 else np.zeros(len(self._to))
        self._send(self._kinematics.jacobian(self._between(fraction)) @ speed)

    def halt(self, joints: Array) -> None:
        self._send(np.zeros(6))

    def not_ready_reason(self) -> str | None:
        return _nobody_listens(self._publisher)

    def _send(self, twist: Array) -> None:
        message = TwistStamped()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.header.frame_id = self._robot.base_frame
        linear, angular = message.twist.linear, message.twist.angular
        linear.x, linear.y, linear.z, angular.x, angular.y, angular.z = twist.tolist()
        self._publisher.publish(message)


class PoseCommand(_Streamed):
    """Cartesian impedance controllers: the tool's pose in the base frame."""

    def __init__(self, node: Node, robot: RobotConfig, kinematics: Kinematics) -> None:
        super().__init__(node, robot, kinematics)
        self._publisher = node.create_publisher(PoseStamped, robot.arm_command, COMMAND)

    def tick(self, fraction: float) -> None:
        self.halt(self._between(fraction))

    def halt(self, joints: Array) -> None:
        message = PoseStamped()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.header.frame_id = self._robot.base_frame
        tool = np.eye(4)
        tool[:3, 3], tool[:3, :3] = self._kinematics.forward(joints)
        place, turn = message.pose.position, message.pose.orientation
        place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w = matrix_to_pose(tool).tolist()
        self._publisher.publish(message)

    def not_ready_reason(self) -> str | None:
        return _nobody_listens(self._publisher)


def _nobody_listens(publisher: Any) -> str | None:
    if publisher.get_subscription_count():
        return None
    return f"nobody listens to the topic {publisher.topic_name}; start the driver and that controller"


_COMMANDS: dict[str, Callable[[Node, RobotConfig, Kinematics], ArmCommand]] = {
    "joint_trajectory": TrajectoryCommand,
    "forward_position": PositionCommand,
    "servo_twist": TwistCommand,
    "cartesian_pose": PoseCommand,
}


def make_arm_command(node: Node, robot: RobotConfig, kinematics: Kinematics) -> ArmCommand:
    """The command that the robot's file names."""
    return _COMMANDS[robot.driver.arm_interface](node, robot, kinematics)
