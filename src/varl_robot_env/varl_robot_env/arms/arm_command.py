"""How an arm's controller takes commands: by joint trajectory, or streamed as joint positions, twists or tool poses."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.duration import Duration
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory
from varl_common.poses import matrix_to_pose
from varl_common.ros.messages import to_doubles, to_time
from varl_common.ros.qos import COMMAND

from varl_robot_env.arms.trajectory_messages import TrajectoryMessage
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.motion import Trajectory
from varl_robot_env.types import Array

_HOLD = 0.05  # s: of a motion that stands still
_STREAM = 0.01  # s between two messages of a stream: 100 Hz


class ArmCommand(Protocol):
    """Has a controller carry out motions, each of which ends at rest if no other follows."""

    def begin(self, motion: Trajectory, begun: float) -> None:
        """Carry out ``motion``, which began at ``begun`` s (monotonic), in place of what was being carried out."""

    def finish(self, seconds: float) -> None:
        """See to it that the last motion, which takes less than ``seconds``, was said to its end."""

    def not_ready_reason(self) -> str | None:
        """Why nobody would move the arm, in a sentence; None where a controller listens."""


class TrajectoryCommand:
    """joint_trajectory_controller, which interpolates by itself.

    The first point is now: by default a controller begins a trajectory at the measured state, and the set-point would
    be pulled back by what the servos lag. By its stamp the controller enters a trajectory where it is by then, and not
    at its first point, however long it was on its way.
    """

    def __init__(self, node: Node, robot: RobotConfig, kinematics: Kinematics) -> None:
        self._publisher = node.create_publisher(JointTrajectory, robot.arm_command, COMMAND)
        self._message = TrajectoryMessage(robot.joints)
        self._clock = node.get_clock() if robot.driver.stamped else None

    def begin(self, motion: Trajectory, begun: float) -> None:
        if not motion.duration:  # a controller wants to be told a time ahead
            joints = motion.positions[-1]
            motion = Trajectory(np.array([0.0, _HOLD]), np.vstack([joints, joints]), np.zeros((2, len(joints))))
        message = self._message.fill(motion)
        if self._clock is not None:
            ago = round((time.monotonic() - begun) * 1e9)
            message.header.stamp = to_time(self._clock.now().nanoseconds - ago)
        self._publisher.publish(message)

    def finish(self, seconds: float) -> None:
        self._publisher.wait_for_all_acked(Duration(seconds=seconds))

    def not_ready_reason(self) -> str | None:
        return _nobody_listens(self._publisher)


class _Streamed(ABC):
    """For controllers that jump to what they are told: the motion is streamed to them, and its end is said."""

    def __init__(self, node: Node, robot: RobotConfig, kinematics: Kinematics, kind: Any) -> None:
        self._node, self._robot, self._kinematics = node, robot, kinematics
        self._publisher = node.create_publisher(kind, robot.arm_command, COMMAND)
        self._motion, self._begun = Trajectory.at_rest(np.array(robot.home)), 0.0
        self._moves = threading.Event()
        threading.Thread(target=self._stream, daemon=True).start()

    def begin(self, motion: Trajectory, begun: float) -> None:
        self._motion, self._begun = motion, begun
        self._moves.set()

    def not_ready_reason(self) -> str | None:
        return _nobody_listens(self._publisher)

    def finish(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._moves.is_set() and time.monotonic() < end:
            time.sleep(_STREAM)
        self._publisher.wait_for_all_acked(Duration(seconds=seconds))

    @abstractmethod
    def message(self, joints: Array, velocities: Array) -> Any:
        """What tells the controller to be at ``joints`` (n,) rad with ``velocities`` (n,) rad/s."""

    def _stream(self) -> None:
        """A thread of its own: an agent that is late, or a callback that takes long, must not stop the arm abruptly."""
        while True:
            self._moves.wait()
            motion, elapsed = self._motion, time.monotonic() - self._begun
            last = elapsed >= motion.duration
            try:
                self._publisher.publish(self.message(*motion.at(elapsed)))
                if last and motion is self._motion:
                    self._moves.clear()
            except rclpy_implementation.RCLError:
                if self._node.context.ok():
                    raise
                return
            time.sleep(_STREAM)


class PositionCommand(_Streamed):
    """forward_command_controller on positions."""

    def __init__(self, node: Node, robot: RobotConfig, kinematics: Kinematics) -> None:
        super().__init__(node, robot, kinematics, Float64MultiArray)

    def message(self, joints: Array, velocities: Array) -> Float64MultiArray:
        return Float64MultiArray(data=to_doubles(joints))


class TwistCommand(_Streamed):
    """MoveIt Servo: the tool's velocity in the base frame. Zero must be said: some servers keep the last twist."""

    def __init__(self, node: Node, robot: RobotConfig, kinematics: Kinematics) -> None:
        super().__init__(node, robot, _own(robot), TwistStamped)

    def message(self, joints: Array, velocities: Array) -> TwistStamped:
        message = TwistStamped()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.header.frame_id = self._robot.base_frame
        linear, angular = message.twist.linear, message.twist.angular
        twist = self._kinematics.jacobian(joints) @ velocities
        linear.x, linear.y, linear.z, angular.x, angular.y, angular.z = twist.tolist()
        return message


class PoseCommand(_Streamed):
    """Cartesian impedance controllers: the tool's pose in the base frame."""

    def __init__(self, node: Node, robot: RobotConfig, kinematics: Kinematics) -> None:
        super().__init__(node, robot, _own(robot), PoseStamped)

    def message(self, joints: Array, velocities: Array) -> PoseStamped:
        message = PoseStamped()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.header.frame_id = self._robot.base_frame
        tool = np.eye(4)
        tool[:3, 3], tool[:3, :3] = self._kinematics.forward(joints)
        place, turn = message.pose.position, message.pose.orientation
        place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w = matrix_to_pose(tool).tolist()
        return message


def _own(robot: RobotConfig) -> Kinematics:
    """Kinematics for the stream's thread alone: they keep what they compute with."""
    return Kinematics(robot.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame)


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


def make_arm_command(node: Node, robot: RobotConfig, kinematics: Kinematics, simulated: bool = False) -> ArmCommand:
    """The command that the robot's file names. Where ``simulated``, the controller's clock is not this node's."""
    if simulated:
        robot = robot.model_copy(update={"driver": robot.driver.model_copy(update={"stamped": False})})
    return _COMMANDS[robot.driver.arm_interface](node, robot, kinematics)
