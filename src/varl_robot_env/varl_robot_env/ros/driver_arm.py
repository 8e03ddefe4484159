"""A real arm behind its vendor's driver: commanded by the wall clock, watched all the time."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import WrenchStamped
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, JointState
from std_msgs.msg import Bool
from varl_common.errors import VarlError
from varl_common.frame import Frame
from varl_common.poses import matrix_to_pose
from varl_common.ros.messages import from_pose_msg, to_ns
from varl_common.ros.qos import LATCHED

from varl_interfaces.msg import Entities
from varl_robot_env.config.driver import FaultConfig
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.env.arm import ArmError, ArmState
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.perception.calibration import Calibration
from varl_robot_env.ros.arm_command import make_arm_command
from varl_robot_env.ros.gripper_command import GripperCommand, make_gripper_command
from varl_robot_env.ros.hot_loop import HotLoop
from varl_robot_env.ros.ros_cameras import RosCameras
from varl_robot_env.safety.homing import way_home
from varl_robot_env.safety.monitor import Monitor
from varl_robot_env.safety.safety_filter import Stopped
from varl_robot_env.types import Array, Pose

_SLICE = 0.01  # s: how often a passing period is looked at; it bounds how late a silence is noticed
_QUEUE = 5  # messages that a sensor's subscription holds
_ARRIVED = 0.02  # rad: a servo's error at rest
_AT_REST = 0.02  # rad/s
_ARRIVAL_TIMEOUT = 3.0  # s


class DriverArm:
    """An :class:`~varl_robot_env.env.arm.Arm` on a driver's topics.

    Whatever trips the :class:`Monitor` while nothing moves or in the middle of a period stops the arm at once: a
    command to stand still goes out from the callback that noticed it, and ``trip`` latches the stop.

    Its callbacks are in ``group``. Whoever calls its methods must be in the thread that spins that group.
    """

    lock_step = False

    def __init__(
        self,
        node: Node,
        robot: RobotConfig,
        group: CallbackGroup,
        trip: Callable[[str], None],
        stopped: Callable[[], str | None],
        needs: Iterable[str],
        grasps: bool,
    ) -> None:
        """Subscribe to what the robot's file names.

        Args:
            node: of whom the topics are.
            robot: with its URDF.
            group: of all callbacks.
            trip: latches the stop for a reason.
            stopped: why the stop is latched, or None.
            needs: entities that must be heard of.
            grasps: the task moves the gripper.

        Raises:
            VarlError: a message type that the robot's file names is not installed, or a calibration is not there.
        """
        self._node, self._robot, self._trip, self._stopped = node, robot, trip, stopped
        self._loop = HotLoop(node, group)
        self.groups = (group,)
        self._kinematics = Kinematics(robot.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame)
        self._command = make_arm_command(node, robot, self._kinematics)
        self._gripper = self._make_gripper(grasps)
        self._images = RosCameras(node, robot.cameras, group, self._loop)
        self.cameras = [camera.name for camera in robot.cameras]
        self._calibrations = {
            camera.name: Calibration.from_yaml(robot.source.parent / camera.calibration)
            for camera in robot.cameras
            if camera.calibration
        }
        self.monitor = Monitor()
        self._positions: dict[str, float] = {}
        self._speeds: dict[str, float] = {}
        self._entities: dict[str, Pose] = {}
        self._stamp_ns = 0
        self._commanded: Array | None = None  # None: nothing is being carried out
        streamed = robot.driver.arm_interface != "joint_trajectory"
        self._ahead = 0.0 if streamed else robot.driver.thinking_time
        self._deadline: float | None = None  # of the period that is under way: when the next one begins

        safety = robot.safety
        self.monitor.watch("joint states", safety.stale_after, "check the driver")
        subscribe = partial(node.create_subscription, callback_group=group)
        subscribe(JointState, "joint_states", self._on_joints, qos_profile_sensor_data)
        if needs := [name for name in needs if name not in ("tool", "target")]:
            self.monitor.watch("entities", safety.entities_stale_after, f"perception must see {', '.join(needs)}")
            subscribe(Entities, "entities", self._on_entities, qos_profile_sensor_data)
        if safety.camera_stale_after is not None:
            for camera in robot.cameras:
                name = f"camera {camera.name}"
                self.monitor.watch(name, safety.camera_stale_after, f"check {camera.info_topic}")
                seen = partial(self._on_heard, name)
                subscribe(CameraInfo, camera.info_topic, seen, qos_profile_sensor_data)
        if robot.driver.deadman:
            self.monitor.watch("deadman", robot.driver.deadman.stale_after, "hold it to let the arm move")
            subscribe(Bool, robot.driver.deadman.topic, self._on_deadman, 1)
        if robot.driver.wrench:
            subscribe(WrenchStamped, robot.driver.wrench.topic, self._on_wrench, qos_profile_sensor_data)
        for fault in robot.driver.faults:
            self._subscribe_fault(fault, subscribe)

    def missing(self) -> str | None:
        """What keeps the arm from moving yet, in a sentence; None when it is ready."""
        if not self._command.obeyed():
            return f"nobody obeys the topic {self._robot.arm_command}; start the driver and that controller"
        if self._gripper is not None and not self._gripper.obeyed() and self._robot.gripper:
            return f"nobody obeys the gripper's {self._robot.gripper.command_name}; start its driver"
        if unheard := self.monitor.unheard():
            return unheard[0]
        wanted = [*self._robot.joints, *([self._robot.gripper.joint] if self._gripper and self._robot.gripper else [])]
        absent = [joint for joint in wanted if joint not in self._positions]
        return f"joint_states lacks {', '.join(absent)}; check the robot's file and driver" if absent else None

    def reset(self, joints: Array, gripper: float | None, entities: Mapping[str, Pose], capture: bool) -> ArmState:
        """Bring the arm home along checked places, and verify that it is there. Things are a person's to place."""
        self._check()
        self._deadline = None
        self._commanded = self._measured()
        if self._gripper is not None and gripper is not None:
            self._gripper.send(gripper)
        for goal in way_home(self._robot, self._kinematics, self._commanded):
            self._period(goal)
        due = time.monotonic() + _ARRIVAL_TIMEOUT
        while np.abs(self._measured() - joints).max() > _ARRIVED or np.abs(self._velocities()).max() > _AT_REST:
            if time.monotonic() > due:
                off = np.round(self._measured() - joints, 3).tolist()
                raise ArmError(f"the arm did not arrive at home (off by {off} rad); look what holds it, then reset")
            self._period(np.array(joints))
        self._images.want(capture)
        return self._state()

    def move(self, joints: Array, gripper: float | None, capture: bool) -> ArmState:
        self._check()
        if self._commanded is None:
            self._commanded = self._measured()
        if self._gripper is not None and gripper is not None:
            self._gripper.send(gripper)
        self._images.want(capture)
        self._period(joints)
        return self._state()

    def frames(self) -> list[Frame]:
        tool = np.eye(4)
        tool[:3, 3], tool[:3, :3] = self._kinematics.forward(self._measured())
        poses = {
            name: matrix_to_pose(tool @ found.matrix() if found.mount == "tool" else found.matrix())
            for name, found in self._calibrations.items()
        }
        return self._images.frames(None, poses)

    def halt(self) -> None:
        """Stand still where the arm is."""
        self._commanded = None
        if all(joint in self._positions for joint in self._robot.joints):
            self._command.halt(self._measured())

    def _period(self, goal: Array) -> None:
        """Command ``goal`` (n,) rad and let one control period pass.

        Raises:
            Stopped: something tripped the stop meanwhile.
        """
        assert self._commanded is not None
        # Of an agent that is late the beat begins anew: two commands closer than a period would ask for too much speed.
        begin = max(self._deadline or 0.0, time.monotonic())
        self._wait(begin)
        period = self._robot.control_period
        self._deadline = begin + period
        self._command.start(self._commanded, goal)
        self._wait(self._deadline - self._ahead, lambda now: self._command.tick((now - begin) / period))
        if not self._ahead:
            self._command.tick(1.0)
        self._commanded = np.array(goal)

    def _wait(self, until: float, tick: Callable[[float], None] = lambda now: None) -> None:
        """Let the time pass, calling ``tick`` with it on the way.

        Raises:
            Stopped: something tripped the stop meanwhile.
        """
        while (left := until - (now := time.monotonic())) > 0:
            tick(now)
            self._loop.spin_until(lambda: False, min(left, _SLICE))
            self._check()

    def _check(self) -> None:
        for _ in range(_QUEUE):  # where this process was starved, what came meanwhile still waits to be heard
            if not self.monitor.silent():
                break
            self._loop.spin_once(0.0)
        reason = self.monitor.reason()
        if reason is not None:
            self._stop(reason)
        reason = self._stopped()
        if reason is not None:
            raise Stopped(f"the safety stop is latched ({reason}); clear its cause, then rearm")

    def _stop(self, reason: str) -> None:
        """Stand still and latch."""
        self.halt()
        self._trip(reason)

    def _wrong(self, name: str, reason: str) -> None:
        """From a callback: stop now if anything is under way, whatever else waits."""
        self.monitor.wrong(name, reason)
        if self._commanded is not None:
            self._stop(reason)

    def _measured(self) -> Array:
        return np.array([self._positions[joint] for joint in self._robot.joints])

    def _velocities(self) -> Array:
        return np.array([self._speeds.get(joint, 0.0) for joint in self._robot.joints])

    def _state(self) -> ArmState:
        gripper = self._robot.gripper
        return ArmState(
            self._stamp_ns,
            self._measured(),
            self._velocities(),
            self._positions.get(gripper.joint) if gripper else None,
            dict(self._entities),
        )

    def _on_joints(self, message: JointState) -> None:
        for row, name in enumerate(message.name):
            if row < len(message.position):
                self._positions[name] = message.position[row]
            if row < len(message.velocity):
                self._speeds[name] = message.velocity[row]
        if self._robot.joints[0] not in message.name:
            return  # the gripper's driver: it says nothing of the arm
        self._stamp_ns = to_ns(message.header.stamp)
        arm = self._measured() if all(joint in self._positions for joint in self._robot.joints) else np.array([np.nan])
        if not np.isfinite(arm).all():
            self._wrong("joint state", "the driver reports joint positions that are missing or not numbers")
            return
        self.monitor.right("joint state")
        self.monitor.heard("joint states")
        if self._robot.safety.joint_effort and len(message.effort) == len(message.name):
            self._watch_effort(dict(zip(message.name, message.effort, strict=True)))

    def _watch_effort(self, effort: Mapping[str, float]) -> None:
        for joint, limit in zip(self._robot.joints, self._robot.safety.joint_effort or [], strict=True):
            if abs(effort.get(joint, 0.0)) > limit:
                self._wrong("effort", f"{joint} takes {abs(effort[joint]):.0f} N m, more than {limit:g}")
                return
        self.monitor.right("effort")

    def _on_entities(self, message: Entities) -> None:
        self._entities = {name: from_pose_msg(pose) for name, pose in zip(message.names, message.poses, strict=False)}
        if self._entities:
            self.monitor.heard("entities")

    def _on_heard(self, name: str, _: Any) -> None:
        self.monitor.heard(name)

    def _on_deadman(self, message: Bool) -> None:
        self.monitor.heard("deadman")
        if message.data:
            self.monitor.right("deadman switch")
        else:
            self._wrong("deadman switch", "the deadman switch was let go")

    def _on_wrench(self, message: WrenchStamped) -> None:
        limit, wrench = self._robot.driver.wrench, message.wrench
        assert limit is not None
        force = math.hypot(wrench.force.x, wrench.force.y, wrench.force.z)
        torque = math.hypot(wrench.torque.x, wrench.torque.y, wrench.torque.z)
        if force > limit.force or torque > limit.torque:
            self._wrong("force", f"the tool is pressed with {force:.0f} N, {torque:.1f} N m")
        else:
            self.monitor.right("force")

    def _on_fault(self, fault: FaultConfig, message: Any) -> None:
        name = f"{fault.topic} {fault.field}"
        if fault.is_good(message):
            self.monitor.right(name)
        else:
            self._wrong(name, fault.meaning)

    def _subscribe_fault(self, fault: FaultConfig, subscribe: Callable[..., Any]) -> None:
        package, _, name = fault.type.partition("/msg/")
        try:
            kind = getattr(importlib.import_module(f"{package}.msg"), name)
        except (ImportError, AttributeError):
            line = f"{self._robot.source}: the fault topic {fault.topic} needs {fault.type}, which is not installed"
            if not fault.optional:
                raise VarlError(f"{line}; install the driver's message package") from None
            self._node.get_logger().warning(f"{line}; going on without, as it is optional")
            return
        subscribe(kind, fault.topic, partial(self._on_fault, fault), LATCHED if fault.latched else 1)

    def _make_gripper(self, grasps: bool) -> GripperCommand | None:
        if self._robot.gripper is None:
            return None
        try:
            return make_gripper_command(self._node, self._robot, self._robot.gripper)
        except VarlError as error:
            if grasps:
                raise
            self._node.get_logger().warning(f"{error}; this task does not grasp, so the gripper is left alone")
            return None
