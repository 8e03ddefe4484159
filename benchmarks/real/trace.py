"""Commands and joints as they go over the wire, and how they keep to their bounds."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory
from varl_common.ros.messages import to_ns
from varl_robot_env.arms.trajectory_messages import from_trajectory_msg
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.motion import Trajectory

Array = NDArray[np.float64]
STILL = 1e-6  # rad: a joint that moves by less from one joint state to the next stands
_DEEP = QoSProfile(depth=20_000)  # however late this process is served, it gets everything


class Recorder:
    """Keeps what goes over the wire as it came, with the times at which it was sent; a thread of its own."""

    def __init__(self, node: Node, robot: RobotConfig) -> None:
        self._robot = robot
        self._joints: list[bytes] = []
        self._commands: list[tuple[int, bytes]] = []  # ns at which it was sent, by its sender
        executor = SingleThreadedExecutor()
        executor.add_node(node)

        def on_command(message: bytes, information: dict[str, Any]) -> None:
            self._commands.append((information["source_timestamp"], message))

        node.create_subscription(JointState, "joint_states", self._joints.append, _DEEP, raw=True)
        node.create_subscription(JointTrajectory, robot.arm_command, on_command, _DEEP, raw=True)

        def spin() -> None:
            with contextlib.suppress(ExternalShutdownException):
                executor.spin()

        threading.Thread(target=spin, daemon=True).start()

    @property
    def count(self) -> int:
        """Commands so far."""
        return len(self._commands)

    def trace(self) -> Trace:
        """All of it until now."""
        states = [deserialize_message(one, JointState) for one in list(self._joints)]
        order = [states[0].name.index(joint) for joint in self._robot.joints]
        sent, messages = zip(*list(self._commands), strict=True)
        motions = [from_trajectory_msg(deserialize_message(one, JointTrajectory)) for one in messages]
        return Trace(
            np.array([to_ns(state.header.stamp) for state in states]) * 1e-9,
            np.array([np.array(state.position)[order] for state in states]),
            np.array(sent) * 1e-9,
            motions,
        )

    def last(self, seconds: float) -> Trace:
        """The last ``seconds`` of the joints alone: quick to make."""
        states = [deserialize_message(one, JointState) for one in self._joints[-round(600 * seconds) :]]
        order = [states[0].name.index(joint) for joint in self._robot.joints] if states else []
        return Trace(
            np.array([to_ns(state.header.stamp) for state in states]) * 1e-9,
            np.array([np.array(state.position)[order] for state in states]),
            np.zeros(0),
            [],
        )


@dataclass(frozen=True)
class Trace:
    """What was recorded.

    Attributes:
        times: (m,) stamps of joint states, s of the wall clock.
        joints: (m, n) rad.
        sent: (k,) when commands were sent, s of the wall clock.
        motions: k commands.
    """

    times: Array
    joints: Array
    sent: Array
    motions: list[Trajectory]

    def acceleration_shares(self, bounds: Array, window: float) -> Array:
        """(m,) of the bound, the greatest of the joints, over ``window`` s, at the times at which a joint moves.

        By three places, a window apart: a joint that keeps the bound at every moment cannot have more.
        """
        at = self.times[(self.times > self.times[0] + window) & (self.times < self.times[-1] - window)]
        before, here, after = (self._places(at + shift) for shift in (-window, 0.0, window))
        moves = (np.abs(after - before) > STILL).any(axis=1)
        change = np.abs(after - 2 * here + before)[moves] / window**2
        return np.asarray((change / bounds).max(axis=1))

    def speeds(self, at: float, over: float = 0.01) -> Array:
        """(n,) rad/s around a time."""
        ends = self._places(np.array([at - over / 2, at + over / 2]))
        return np.asarray((ends[1] - ends[0]) / over)

    def rest_after(self, at: float) -> float:
        """Seconds from ``at`` until the joints moved for the last time."""
        moved = (np.abs(np.diff(self.joints, axis=0)) > STILL).any(axis=1)
        late = self.times[1:][moved & (self.times[1:] > at)]
        return float(late[-1] - at) if len(late) else 0.0

    def between(self, begin: float, end: float) -> Trace:
        """A part of it."""
        joints, commands = (self.times >= begin) & (self.times < end), (self.sent >= begin) & (self.sent < end)
        motions = [motion for motion, kept in zip(self.motions, commands, strict=True) if kept]
        return Trace(self.times[joints], self.joints[joints], self.sent[commands], motions)

    def _places(self, at: Array) -> Array:
        return np.stack([np.interp(at, self.times, joint) for joint in self.joints.T], axis=1)
