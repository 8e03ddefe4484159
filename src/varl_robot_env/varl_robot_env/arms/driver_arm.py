"""A real arm behind its vendor's driver: commanded by the wall clock, watched all the time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping

import numpy as np
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from varl_common.errors import VarlError
from varl_common.frame import Frame
from varl_common.poses import matrix_to_pose

from varl_robot_env.arm import ArmError, ArmState, Picture
from varl_robot_env.arms.arm_command import make_arm_command
from varl_robot_env.arms.controller_state import ControllerState
from varl_robot_env.arms.driver_inputs import DriverInputs
from varl_robot_env.arms.gripper_command import GripperCommand, make_gripper_command
from varl_robot_env.arms.observed_pictures import ObservedPictures
from varl_robot_env.arms.servo_state import ServoState
from varl_robot_env.arms.simulated_scene import SimulatedScene
from varl_robot_env.arms.watched_topics import WatchedTopics
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.motion import GripperMotion, Moment, Trajectory
from varl_robot_env.perception.calibration import Calibration
from varl_robot_env.ros.hot_loop import HotLoop
from varl_robot_env.ros.ros_cameras import RosCameras
from varl_robot_env.safety.following import WINDOW, Following
from varl_robot_env.safety.governor import ARRIVED, AT_REST, Governor
from varl_robot_env.safety.homing import WayHome
from varl_robot_env.safety.motion_clock import MotionClock
from varl_robot_env.safety.safety_filter import Stopped
from varl_robot_env.tasks.task import Task
from varl_robot_env.types import Array, Pose

_SLICE = 0.01  # s: how often a passing period is looked at; it bounds how late a silence is noticed
_QUEUE = 5  # messages that a sensor's subscription holds
_ARRIVAL_TIMEOUT = 3.0  # s
_SAME_GRIP = 0.1  # share of the gripper's way within which it is where it should be
_LAST_WORDS = 0.1  # s for a stop to leave this host
# s that a motion is sent before it begins: for its way, and a cycle of the controller. What comes later finds an arm
# that brakes already.
_AHEAD = 0.004
_TOO_LATE = 0.01  # s
_JOINED = 1e-6  # rad and rad/s: the motion begins where the one before it is then
# Of the bound of acceleration: measured over a controller's uneven cycles, a motion at the bound has 1.003.
_SPARE = 0.98


def with_spare(robot: RobotConfig) -> RobotConfig:
    """``robot``, so that the acceleration of the joints as measured, too, keeps within the bound of its file."""
    bounds = [_SPARE * bound for bound in robot.safety.joint_acceleration]
    return robot.model_copy(update={"safety": robot.safety.model_copy(update={"joint_acceleration": bounds})})


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
        task: Task,
        abandoned: Callable[[], bool],
        scene: SimulatedScene | None = None,
        observed: Collection[str] = (),
    ) -> None:
        """Subscribe to what the robot's file names.

        Args:
            node: subscribes and publishes.
            robot: with its URDF.
            group: of all callbacks.
            watched: by which to hear all that must be heard; it is of ``group``, too.
            trip: latches the stop for a reason.
            task: says which things must be seen, and whether the gripper is moved.
            abandoned: whether the agent that asked for the running reset is gone.
            scene: of a simulator, to place the things in; None: they are a person's to place.
            observed: cameras whose pictures a policy sees.

        Raises:
            VarlError: a message type that the robot's file names is not installed, or a calibration is not there.
        """
        self._robot, self._trip, self._abandoned = robot, trip, abandoned
        self._loop = HotLoop(node, group)
        self.groups = (group,)
        self._kinematics = Kinematics(robot.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame)
        self._governor = Governor(robot, self._kinematics)
        self._command = make_arm_command(node, robot, self._kinematics, simulated=scene is not None)
        servo = robot.driver.arm_interface == "servo_twist"
        self._servo = ServoState(node, robot.arm_controller, group) if servo else None
        manager = "" if servo else robot.driver.controller_manager
        self._controller = ControllerState(node, manager, robot.arm_controller, group) if manager else None
        self._scene, self.places = scene, scene is not None
        self._gripper = self._make_gripper(node, task.grasps)
        self._grasps, self._opens = task.grasps, task.config.opens_gripper or scene is not None
        shown = [camera for camera in robot.cameras if camera.shown]
        self._images = RosCameras(node, shown, group, self._loop, self._camera_poses)
        self.cameras = [camera.name for camera in shown]
        self._pictures = ObservedPictures([camera for camera in robot.cameras if camera.name in observed])
        self._pictures.watch(watched)
        self._calibrations = {
            camera.name: Calibration.from_yaml(robot.source.parent / camera.calibration)
            for camera in robot.cameras
            if camera.calibration
        }
        gripper = robot.gripper.joint if robot.gripper and task.grasps else None
        self._heard = DriverInputs(node, robot, watched, task.seen, gripper, self._on_scale, task.still)
        self._inputs = watched.inputs
        self._clock = MotionClock(np.array(robot.home), time.monotonic())
        self._following = Following()
        self._interrupted: str | None = "no episode has begun"  # what ended the motion, until the next reset
        self._resets = self._begun = False  # begun: a motion, since the arm was last known to stand by itself
        self.void_steps = 0
        self._deadline: float | None = None  # of the period that is under way: when the next one begins
        self._begin = 0.0  # of the next motion, as it was planned

    def not_ready_reason(self) -> str | None:
        """What keeps the arm from moving yet, beside its inputs, in a sentence; None when it is ready."""
        return (
            self._command.not_ready_reason()
            or (self._servo.not_ready_reason() if self._servo else None)
            or (self._controller.not_ready_reason() if self._controller else None)
            # A task that does not grasp waits for no gripper.
            or (self._gripper.not_ready_reason() if self._gripper and self._grasps else None)
            or (self._scene.not_ready_reason() if self._scene else None)
        )

    def reset(self, joints: Array, gripper: float | None, entities: Mapping[str, Pose], capture: bool) -> ArmState:
        """Bring the arm home along checked places, and verify that it is there."""
        self._interrupted, self._deadline, self.void_steps = None, None, 0
        self._following.begin()
        if self._gripper:
            self._gripper.reset()
        self._resets = True
        try:
            return self._reset(joints, gripper, entities, capture)
        finally:
            self._resets = False

    def _reset(self, joints: Array, gripper: float | None, entities: Mapping[str, Pose], capture: bool) -> ArmState:
        if self._controller:
            self._controller.ask_anew(self._loop)
        self._check()
        if not self._begun:
            self._clock = MotionClock(self._heard.positions(), time.monotonic())
            self._begun = True
        self._go_home()
        due = time.monotonic() + _ARRIVAL_TIMEOUT
        while not self._rests_at(joints):
            if time.monotonic() > due:
                off = np.round(self._heard.positions() - joints, 3).tolist()
                raise ArmError(f"the arm did not arrive at home (off by {off} rad); look what holds it, then reset")
            self._wait(time.monotonic() + _SLICE)
        if self._gripper and gripper is not None:
            self._set_gripper(self._gripper, gripper)
        if self._scene:
            self._scene.place(entities)
            self._wait(time.monotonic() + self._robot.control_period)  # until it was seen
        self._heard.await_still(self._wait)
        self._images.begin(capture, self._wait)
        return self._state()

    def _go_home(self) -> None:
        home = WayHome(self._robot, self._kinematics)
        try:
            while (motion := home.next(self.now())) is not None:
                self._period(motion)
        except ArmError:
            self._wait(time.monotonic() + 2 * WINDOW)  # by then it is known whether the arm does not follow
            raise

    def now(self) -> Moment:
        for _ in range(_QUEUE):  # what came while the agent thought
            self._loop.spin_once(0.0)
        # Of an agent that is late the beat begins anew: two commands closer than a period would ask for too much speed.
        self._begin = max(self._deadline or 0.0, time.monotonic() + _AHEAD)
        return Moment(self._heard.positions(), self._clock.motion, self._clock.elapsed(self._begin))

    def move(self, motion: Trajectory, gripper: GripperMotion | None, capture: bool) -> ArmState:
        self._check()
        if self._gripper is not None and gripper is not None:
            self._gripper.send(gripper)
        self._images.want(capture)
        self._period(motion)
        return self._state()

    def pictures(self) -> dict[str, Picture]:
        return self._pictures.newest()

    def frames(self) -> list[Frame]:
        return self._images.newest()

    def _camera_poses(self) -> dict[str, Pose]:
        tool = np.eye(4)
        tool[:3, 3], tool[:3, :3] = self._kinematics.forward(self._heard.positions())
        found = self._calibrations.items()
        return {name: matrix_to_pose(tool @ it.matrix() if it.mount == "tool" else it.matrix()) for name, it in found}

    def halt(self, reason: str) -> None:
        """Brake at the greatest deceleration. What is being carried out ends; only a new reset moves the arm again."""
        self._interrupted, begin = reason, time.monotonic() + _AHEAD
        if not self._begun or not self._heard.known():
            return  # nothing was ever commanded
        start, heard = self._clock.commanded(begin), self._heard
        self._send(self._governor.halt(start, heard.positions(), heard.velocities()), begin)

    def close(self) -> None:
        """Stop, and see to it that the stop was said: the node ends."""
        self.halt("the env node ends")
        self._command.finish(self._clock.motion.duration + _LAST_WORDS)
        self._images.close()

    def _rests_at(self, joints: Array) -> bool:
        at_rest = bool((np.abs(self._heard.velocities()) <= AT_REST).all())
        return at_rest and bool((np.abs(self._heard.positions() - joints) <= ARRIVED).all())

    def _period(self, motion: Trajectory) -> None:
        """Let ``motion``, made for what :meth:`now` told, begin when that said, and let one control period pass.

        Raises:
            Stopped: something tripped the stop meanwhile.
        """
        self._wait(self._begin - _AHEAD)
        self._deadline = self._begin + self._robot.control_period
        # What is so late that the arm would have to catch up is not begun: it brakes, as was last said.
        if time.monotonic() < self._begin + _TOO_LATE:
            self._send(motion, self._begin)
        self._wait(self._deadline - _AHEAD - self._robot.driver.observation_lead)

    def _send(self, motion: Trajectory, begin: float) -> None:
        """Have the controller carry out ``motion`` from ``begin`` s (monotonic) on, and until then what it does now."""
        now, clock = time.monotonic(), self._clock
        here, speed = clock.commanded(begin)
        assert motion.velocities is not None
        goes_on = np.allclose([here, speed], [motion.positions[0], motion.velocities[0]], rtol=0.0, atol=_JOINED)
        if begin > now and goes_on:
            motion = clock.motion.then(clock.elapsed(now), clock.elapsed(begin), motion)
        begin = min(begin, now)
        clock.begin(motion, begin)
        self._command.begin(motion, begin)

    def _wait(self, until: float) -> None:
        """Let the time pass, watching.

        Raises:
            Stopped: something tripped the stop meanwhile.
        """
        while (left := until - time.monotonic()) > 0:
            self._loop.spin_until(lambda: False, min(left, _SLICE))
            self._check()

    def _check(self) -> None:
        for _ in range(_QUEUE):  # where this process was starved, what came meanwhile still waits to be heard
            if not self._inputs.silent():
                break
            self._loop.spin_once(0.0)
        gripper = self._gripper.problem() if self._gripper and self._grasps else None
        reason = self._inputs.reason() or gripper or self._not_following()
        if reason:
            self._trip(reason)
        if self._abandoned():
            self.halt("its agent is gone")
            raise Stopped("the agent that asked for this is gone; reset again")
        if self._interrupted:
            raise Stopped(f"the safety stop is latched ({self._interrupted}); clear its cause, then rearm")

    def _not_following(self) -> str | None:
        """Why the arm does not go where it is told to, in a sentence."""
        reason = self._controller.problem() if self._controller else None
        now, measured = time.monotonic(), self._heard.positions()
        row = self._following.joint_that_does_not(now, self._clock.commanded(now)[0], measured)
        if row is not None and reason is None:
            reason = (
                f"{self._robot.joints[row]} does not follow {self._robot.arm_controller}; see whether that controller "
                "is active and what holds the arm"
            )
        if reason:
            known = self._following.void_before if self._resets else self._following.void_for
            void = known if row is not None else WINDOW
            self.void_steps = math.ceil(void / self._robot.control_period) + 1
        return reason

    def _on_scale(self, scale: float) -> None:
        self._clock.set_scale(scale, time.monotonic())

    def open_gripper(self) -> None:
        """A person says that whatever the gripper holds may fall."""
        if self._gripper and self._robot.gripper:
            opened = self._robot.gripper.open
            self._gripper.send(GripperMotion(opened, opened, opened))

    def _set_gripper(self, command: GripperCommand, goal: float) -> None:
        """Bring the gripper to where an episode begins.

        Raises:
            ArmError: it may hold something, and nobody said that it may drop it; or it does not get there.
        """
        gripper = self._robot.gripper
        assert gripper is not None
        motion, same = GripperMotion(goal, goal, goal), _SAME_GRIP * abs(gripper.open - gripper.closed)
        if not self._grasps:
            return command.send(motion)
        due = time.monotonic() + _ARRIVAL_TIMEOUT
        while abs((self._heard.position(gripper.joint) or 0.0) - goal) > same:
            if not self._opens:
                raise ArmError(
                    "the gripper is not open and may hold something; take it and call open_gripper, or write "
                    "opens_gripper: true into the task's file"
                )
            if time.monotonic() > due:
                raise ArmError("the gripper does not open; look at it and at its driver, then reset")
            command.send(motion)
            self._wait(time.monotonic() + self._robot.control_period)

    def _make_gripper(self, node: Node, grasps: bool) -> GripperCommand | None:
        if self._robot.gripper is None:
            return None
        try:
            return make_gripper_command(node, self._robot, self._robot.gripper)
        except VarlError as error:
            if grasps:
                raise
            node.get_logger().warning(f"{error}; this task does not grasp, so the gripper is left alone")
            return None

    def _state(self) -> ArmState:
        gripper = self._robot.gripper
        return ArmState(
            self._heard.stamp_ns,
            self._heard.positions(),
            self._heard.velocities(),
            self._heard.position(gripper.joint) if gripper else None,
            self._heard.entities(),
            self._heard.force,
        )
