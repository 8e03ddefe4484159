"""A real arm behind its vendor's driver: commanded by the wall clock, watched all the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from varl_common.frame import Frame
from varl_common.poses import matrix_to_pose

from varl_robot_env.arm import ArmError, ArmState
from varl_robot_env.arms.arm_command import make_arm_command
from varl_robot_env.arms.driver_inputs import DriverInputs
from varl_robot_env.arms.gripper_command import make_gripper_command
from varl_robot_env.arms.watched_topics import WatchedTopics
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.perception.calibration import Calibration
from varl_robot_env.ros.hot_loop import HotLoop
from varl_robot_env.ros.ros_cameras import RosCameras
from varl_robot_env.safety.homing import way_home
from varl_robot_env.safety.safety_filter import Stopped
from varl_robot_env.tasks.task import Task
from varl_robot_env.types import Array, Pose

_SLICE = 0.01  # s: how often a passing period is looked at; it bounds how late a silence is noticed
_QUEUE = 5  # messages that a sensor's subscription holds
_ARRIVED = 0.02  # rad: a servo's error at rest
_AT_REST = 0.02  # rad/s
_ARRIVAL_TIMEOUT = 3.0  # s


class DriverArm:
    """An :class:`~varl_robot_env.arm.Arm` on a driver's topics.

    Whatever is wrong with its inputs (:class:`DriverInputs`) stops the arm at once, also in the middle of a period: the
    callback that notices it latches the stop, which calls :meth:`halt`.

    Its callbacks are in ``group``. Whoever calls its methods must be in the thread that spins that group.
    """

    lock_step = False

    def __init__(
        self,
        node: Node,
        robot: RobotConfig,
        group: CallbackGroup,
        watched: WatchedTopics,
        trip: Callable[[str], None],
        task: Task[Any],
    ) -> None:
        """Subscribe to what the robot's file names.

        Args:
            node: of whom the topics are.
            robot: with its URDF.
            group: of all callbacks.
            watched: by which to hear all that must be heard; it is of ``group``, too.
            trip: latches the stop for a reason.
            task: says which things must be seen, and whether the gripper is moved.

        Raises:
            VarlError: a message type that the robot's file names is not installed, or a calibration is not there.
        """
        self._node, self._robot, self._trip = node, robot, trip
        self._loop = HotLoop(node, group)
        self.groups = (group,)
        self._kinematics = Kinematics(robot.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame)
        self._command = make_arm_command(node, robot, self._kinematics)
        # A task that does not grasp waits for no gripper.
        gripper = robot.gripper if task.grasps else None
        self._gripper = make_gripper_command(node, robot, gripper) if gripper else None
        self._images = RosCameras(node, robot.cameras, group, self._loop)
        self.cameras = [camera.name for camera in robot.cameras]
        self._calibrations = {
            camera.name: Calibration.from_yaml(robot.source.parent / camera.calibration)
            for camera in robot.cameras
            if camera.calibration
        }
        things = [name for name in task.entities if name not in ("tool", "target")]
        self._heard = DriverInputs(node, robot, watched, things, gripper.joint if gripper else None)
        self._inputs = watched.inputs
        self._interrupted: str | None = None
        self._commanded: Array | None = None  # None: nothing is being carried out
        streamed = robot.driver.arm_interface != "joint_trajectory"
        self._ahead = 0.0 if streamed else robot.driver.observation_lead
        self._deadline: float | None = None  # of the period that is under way: when the next one begins

    def not_ready_reason(self) -> str | None:
        """What keeps the arm from moving yet, beside its inputs, in a sentence; None when it is ready."""
        return self._command.not_ready_reason() or (self._gripper.not_ready_reason() if self._gripper else None)

    def reset(self, joints: Array, gripper: float | None, entities: Mapping[str, Pose], capture: bool) -> ArmState:
        """Bring the arm home along checked places, and verify that it is there. Things are a person's to place."""
        self._interrupted, self._deadline = None, None
        if self._gripper:
            self._gripper.reset()
        self._check()
        self._commanded = self._heard.positions()
        if self._gripper is not None and gripper is not None:
            self._gripper.send(gripper)
        for goal in way_home(self._robot, self._kinematics, self._commanded):
            self._period(goal)
        due = time.monotonic() + _ARRIVAL_TIMEOUT
        while (
            np.abs(self._heard.positions() - joints).max() > _ARRIVED
            or np.abs(self._heard.velocities()).max() > _AT_REST
        ):
            if time.monotonic() > due:
                off = np.round(self._heard.positions() - joints, 3).tolist()
                raise ArmError(f"the arm did not arrive at home (off by {off} rad); look what holds it, then reset")
            self._period(np.array(joints))
        self._images.want(capture)
        return self._state()

    def move(self, joints: Array, gripper: float | None, capture: bool) -> ArmState:
        self._check()
        if self._commanded is None:
            self._commanded = self._heard.positions()
        if self._gripper is not None and gripper is not None:
            self._gripper.send(gripper)
        self._images.want(capture)
        self._period(joints)
        return self._state()

    def frames(self) -> list[Frame]:
        tool = np.eye(4)
        tool[:3, 3], tool[:3, :3] = self._kinematics.forward(self._heard.positions())
        poses = {
            name: matrix_to_pose(tool @ found.matrix() if found.mount == "tool" else found.matrix())
            for name, found in self._calibrations.items()
        }
        return self._images.frames(None, poses)

    def halt(self, reason: str) -> None:
        """Stand still where the arm is. What is being carried out ends; only a new reset moves the arm again."""
        self._commanded, self._interrupted = None, reason
        if self._heard.known():
            self._command.halt(self._heard.positions())

    def _rests_at(self, joints: Array) -> bool:
        at_rest = bool((np.abs(self._heard.velocities()) <= _AT_REST).all())
        return at_rest and bool((np.abs(self._heard.positions() - joints) <= _ARRIVED).all())

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
            if not self._inputs.silent():
                break
            self._loop.spin_once(0.0)
        if reason := self._inputs.reason() or (self._gripper.problem() if self._gripper else None):
            self._trip(reason)
        if self._interrupted:
            raise Stopped(f"the safety stop is latched ({self._interrupted}); clear its cause, then rearm")

    def _state(self) -> ArmState:
        gripper = self._robot.gripper
        return ArmState(
            self._heard.stamp_ns,
            self._heard.positions(),
            self._heard.velocities(),
            self._heard.position(gripper.joint) if gripper else None,
            dict(self._heard.entities),
        )
