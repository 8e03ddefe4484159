"""What a real arm's driver, sensors and switches say: every topic that the robot's file names, by one rule."""

from __future__ import annotations

import importlib
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import WrenchStamped
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, JointState
from std_msgs.msg import Bool, Float64
from varl_common.errors import VarlError
from varl_common.ros.messages import from_pose_msg, to_ns
from varl_common.ros.qos import LATCHED, STATE

from varl_interfaces.msg import Entities
from varl_robot_env.arms.watched_topics import Take, WatchedTopics
from varl_robot_env.config.driver import FaultConfig, SpeedScalingConfig
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.safety.inputs import InputRule, Values
from varl_robot_env.types import Array, Pose

_POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
_WRENCH = ("force x", "force y", "force z", "torque x", "torque y", "torque z")
_UNIT = 0.05  # how far a quaternion's norm may be from 1
_DIFFERENCE = 0.03  # s: positions this far apart tell a speed, where the driver measures none


class DriverInputs:
    """Subscribes to what the robot's file names, and keeps what came last and was whole.

    Attributes:
        force: (3,) on the tool, N, in its sensor's frame; None where nothing measures it or it was not heard.
        stamp_ns: the driver's time of the arm's last joint state, ns.
    """

    def __init__(
        self,
        node: Node,
        robot: RobotConfig,
        watched: WatchedTopics,
        things: Iterable[str],
        gripper_joint: str | None,
        on_scale: Callable[[float], None] = lambda scale: None,
        still: Collection[str] = (),
    ) -> None:
        """Subscribe.

        Args:
            node: whose logger to use.
            robot: the robot.
            watched: by which to subscribe.
            things: entities that must be seen before the arm moves, and while it does.
            gripper_joint: the gripper's joint, where the task needs its position.
            on_scale: told how fast time passes in the controller, 1 at full speed.
            still: those of ``things`` that may be hidden while it moves; whoever publishes them must go on.

        Raises:
            VarlError: a message type that the robot's file names is not installed or lacks a field.
        """
        self._node, self._robot, self._watched = node, robot, watched
        self._entities: dict[str, tuple[float, Pose]] = {}  # when each was seen last, and where
        self.stamp_ns = 0
        self.force: Array | None = None
        self._positions: dict[str, float] = {}
        self._velocities: dict[str, float] = {}
        self._past: deque[tuple[float, Array]] = deque()
        self._watch_joints(gripper_joint)
        self._still = set(still)
        self._watch_things(list(things))
        self._watch_cameras()
        driver = robot.driver
        for estop in driver.estops:
            watched.watch_estop(estop, required=True)
        if driver.deadman:
            rule = InputRule(
                "deadman switch",
                ("data",),
                f"hold it, and see that {driver.deadman.topic} repeats itself",
                driver.deadman.stale_after,
                lambda values: None if values[0] else "the deadman switch was let go",
            )
            self._watched.watch(rule, Bool, driver.deadman.topic, STATE, lambda message: [message.data])
        if driver.wrench:
            rule = InputRule(
                "force at the tool",
                _WRENCH,
                f"check the force sensor's topic {driver.wrench.topic}",
                driver.wrench.stale_after,
                self._judge_wrench,
            )
            self._watched.watch_all(
                [rule], WrenchStamped, driver.wrench.topic, [qos_profile_sensor_data], self._on_wrench
            )
        if driver.speed_scaling:
            self._watch_speed_scaling(driver.speed_scaling, on_scale)
        for fault in driver.faults:
            self._watch_fault(fault)

    def positions(self) -> Array:
        """(n,) of the arm's joints as measured last, rad."""
        return np.array([self._positions[joint] for joint in self._robot.joints])

    def velocities(self) -> Array:
        """(n,) rad/s: as the driver measures them, or from the positions where it measures none."""
        if self._robot.driver.measures_velocity:
            return np.array([self._velocities[joint] for joint in self._robot.joints])
        (then, before), (now, after) = self._past[0], self._past[-1]
        return (after - before) / (now - then) if now > then else np.zeros(len(after))

    def position(self, joint: str) -> float | None:
        """Of one joint, the gripper's for example; None where it was never heard."""
        return self._positions.get(joint)

    def known(self) -> bool:
        """Whether every joint of the arm was heard."""
        return all(joint in self._positions for joint in self._robot.joints)

    def _watch_joints(self, gripper_joint: str | None) -> None:
        safety, arm, gripper = self._robot.safety, self._robot.joints, self._robot.gripper
        speed = ("velocity",) if self._robot.driver.measures_velocity else ()
        effort = ("effort",) if safety.joint_effort else ()
        limits = dict(zip(arm, safety.joint_effort or [], strict=False))
        fields = dict.fromkeys(arm, ("position", *speed, *effort))
        topics = {self._robot.driver.joint_states: dict(fields)}
        if gripper and gripper_joint:
            topics.setdefault(gripper.joint_states, {})[gripper_joint] = ("position",)
        for topic, of_topic in topics.items():
            self._watch_joints_on(topic, of_topic, limits)

    def _watch_joints_on(self, topic: str, fields: dict[str, tuple[str, ...]], limits: Mapping[str, float]) -> None:
        safety, gripper = self._robot.safety, self._robot.gripper
        rules = [
            InputRule(
                f"joint state of {joint}",
                names,
                "check the driver and the joints' names in the robot's file",
                gripper.stale_after if gripper and joint == gripper.joint else safety.stale_after,
                partial(_judge_effort, joint, limits.get(joint)),
            )
            for joint, names in fields.items()
        ]

        def on_message(takes: Sequence[Take], message: JointState) -> None:
            self._on_joints(message, {joint: (fields[joint], take) for joint, take in zip(fields, takes, strict=True)})

        self._watched.watch_all(rules, JointState, topic, [qos_profile_sensor_data], on_message)

    def _on_joints(self, message: JointState, joints: Mapping[str, tuple[tuple[str, ...], Take]]) -> None:
        count = len(message.name)
        arrays = {"position": message.position, "velocity": message.velocity, "effort": message.effort}
        # An array of another length than the names' says nothing of any joint: which one is missing is not known.
        whole = {field: values for field, values in arrays.items() if len(values) == count}
        for row, name in enumerate(message.name):
            if name not in joints:
                continue
            fields, take = joints[name]
            values: dict[str, Any] = {field: whole[field][row] if field in whole else None for field in fields}
            if take(list(values.values())):
                self._positions[name] = values["position"]
                self._velocities[name] = values.get("velocity", 0.0)
        if self._robot.joints[0] in message.name and self.known():
            self.stamp_ns = to_ns(message.header.stamp)
            now = time.monotonic()
            self._past.append((now, self.positions()))
            while len(self._past) > 2 and now - self._past[1][0] > _DIFFERENCE:
                self._past.popleft()

    def entities(self) -> dict[str, Pose]:
        """Where each thing is that was seen lately, base frame."""
        oldest = time.monotonic() - self._robot.safety.entities_stale_after
        return {name: pose for name, (seen_at, pose) in self._entities.items() if seen_at >= oldest}

    def await_still(self, wait: Callable[[float], None]) -> None:
        """Until what is still is seen, or as long as a sight counts: the arm may have hidden it.

        ``wait`` lets the time pass until a time of ``time.monotonic``, watching.
        """
        due = time.monotonic() + self._robot.safety.entities_stale_after
        while not self.entities().keys() >= self._still and time.monotonic() < due:
            wait(time.monotonic() + self._robot.control_period)

    def _watch_things(self, names: Sequence[str]) -> None:
        after = self._robot.safety.entities_stale_after
        rules = [
            InputRule(
                f"sight of {name}",
                _POSE,
                f"perception must see {name}",
                None if name in self._still else after,
                partial(_judge_pose, name),
            )
            for name in names
        ]

        def on_message(takes: Sequence[Take], message: Entities) -> None:
            poses = dict(zip(message.names, map(from_pose_msg, message.poses), strict=False))
            for name, take in zip(names, takes, strict=True):
                if name in message.names and not take(poses[name].tolist() if name in poses else []):
                    poses.pop(name, None)
            now = time.monotonic()
            self._entities |= {name: (now, pose) for name, pose in poses.items() if np.isfinite(pose).all()}

        if names:
            self._watched.watch_all(rules, Entities, "entities", [qos_profile_sensor_data], on_message)

    def _watch_cameras(self) -> None:
        after = self._robot.safety.camera_stale_after
        for camera in self._robot.cameras if after is not None else []:
            rule = InputRule(f"camera {camera.name}", (), f"check {camera.info_topic}", after)
            self._watched.watch(rule, CameraInfo, camera.info_topic, qos_profile_sensor_data, lambda message: [])

    def _watch_speed_scaling(self, scaling: SpeedScalingConfig, on_scale: Callable[[float], None]) -> None:
        rule = InputRule("speed scaling", ("data",), f"start what publishes {scaling.topic}", scaling.stale_after)

        def on_message(takes: Sequence[Take], message: Float64) -> None:
            if takes[0]([message.data]):
                on_scale(float(np.clip(message.data / scaling.full, 0.0, 1.0)))

        self._watched.watch_all([rule], Float64, scaling.topic, [STATE], on_message)

    def _on_wrench(self, takes: Sequence[Take], message: WrenchStamped) -> None:
        if takes[0](_wrench_values(message)):
            self.force = force_of(message)

    def _judge_wrench(self, values: Sequence[float]) -> str | None:
        limit = self._robot.driver.wrench
        assert limit is not None
        force, torque = math.hypot(*values[:3]), math.hypot(*values[3:])
        if force > limit.force or torque > limit.torque:
            return f"the tool is pressed with {force:.0f} N, {torque:.1f} N m"
        return None

    def _watch_fault(self, fault: FaultConfig) -> None:
        package, _, name = fault.type.partition("/msg/")
        try:
            kind = getattr(importlib.import_module(f"{package}.msg"), name)
        except (ImportError, AttributeError):
            line = f"{self._robot.source}: the fault topic {fault.topic} needs {fault.type}, which is not installed"
            if not fault.optional:
                raise VarlError(f"{line}; install the driver's message package") from None
            self._node.get_logger().warning(f"{line}; going on without, as it is optional")
            return
        try:
            fault.value(kind())
        except (AttributeError, TypeError, ValueError) as error:
            raise VarlError(
                f"{self._robot.source}: the fault topic {fault.topic} reads the field {fault.field!r}, which is no "
                f"number of {fault.type} ({error}); see ros2 interface show {fault.type}"
            ) from None
        rule = InputRule(
            f"{fault.topic} {fault.field}",
            (fault.field,),
            f"start what publishes {fault.topic}",
            fault.stale_after,
            lambda values: None if fault.is_good(values[0]) else fault.meaning,
        )
        self._watched.watch(
            rule, kind, fault.topic, LATCHED if fault.latched else STATE, lambda message: [fault.value(message)]
        )


def force_of(message: WrenchStamped) -> Array:
    """(3,) N."""
    force = message.wrench.force
    return np.array([force.x, force.y, force.z])


def _judge_effort(joint: str, limit: float | None, values: Sequence[float]) -> str | None:
    if limit is None or abs(values[-1]) <= limit:
        return None
    return f"{joint} takes {abs(values[-1]):.0f} N m, more than {limit:g}"


def _judge_pose(name: str, values: Sequence[float]) -> str | None:
    norm = math.hypot(*values[3:])
    return None if abs(norm - 1.0) <= _UNIT else f"the pose of {name} has a quaternion of norm {norm:.2f}, not 1"


def _wrench_values(message: WrenchStamped) -> Values:
    force, torque = message.wrench.force, message.wrench.torque
    return [force.x, force.y, force.z, torque.x, torque.y, torque.z]
