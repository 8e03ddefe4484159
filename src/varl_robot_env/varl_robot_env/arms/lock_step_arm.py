"""The arm of a simulator node that waits for this one: time passes when it is told to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import WrenchStamped
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory
from varl_common.errors import did_you_mean
from varl_common.frame import Frame
from varl_common.ros.messages import from_pose_msg, to_duration, to_ns, to_pose_msg, to_time
from varl_common.ros.qos import COMMAND, SENSOR_OUT

from varl_interfaces.msg import Entities
from varl_interfaces.srv import Advance, SetScene
from varl_robot_env.arm import ArmError, ArmState, Picture, StaleState
from varl_robot_env.arms.driver_inputs import force_of
from varl_robot_env.arms.observed_pictures import ObservedPictures
from varl_robot_env.arms.trajectory_messages import TrajectoryMessage
from varl_robot_env.config.driver import FORCE_TOPIC
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.motion import GripperMotion, Moment, Trajectory
from varl_robot_env.ros.hot_loop import HotLoop
from varl_robot_env.ros.ros_cameras import RosCameras
from varl_robot_env.types import Array, Pose

# How long the simulator may take for an answer, and its messages to arrive, s.
_ANSWER_TIMEOUT = 3.0
# The same for a scene, s: Gazebo drives the arm to its start, for simulated seconds. Less than a Reset may take.
_SCENE_TIMEOUT = 40.0
# How long the first frame waits for the camera's pose, s; a simulator that rests repeats itself twice a second.
_POSE_TIMEOUT = 2.0


class LockStepArm:
    """An :class:`~varl_robot_env.arm.Arm` on joint_states, entities, joint_trajectory and camera topics.

    Its topics are in ``group``. Whoever calls its methods must be in the thread that spins that group: the methods spin
    it themselves while they wait.

    Attributes:
        groups: all of its callback groups, to be kept from other threads.
    """

    lock_step = True
    places = True

    def __init__(
        self,
        node: Node,
        robot: RobotConfig,
        group: CallbackGroup,
        sees: bool,
        feels: bool = False,
        observed: Collection[str] = (),
    ) -> None:
        """Subscribe.

        Args:
            node: subscribes and publishes.
            robot: the robot.
            group: of all topics.
            sees: the task looks at entities. Else they are left alone until a frame needs its camera's pose.
            feels: the task asks for the force on the tool.
            observed: cameras whose pictures a policy sees.
        """
        self._node, self._robot, self._group, self._sees, self._feels = node, robot, group, sees, feels
        replies = MutuallyExclusiveCallbackGroup()
        # A call's answer comes after the messages it is about: waiting for it alone wakes up once, not three times.
        self._loop, self._replies = HotLoop(node, group), HotLoop(node, replies)
        self.groups = (group, replies)
        self._joint_state: JointState | None = None
        self._stamp_due = 0
        self._entities: Entities | None = None
        shown = [camera for camera in robot.cameras if camera.shown]
        self._images = RosCameras(node, shown, group, self._loop)
        self.cameras = [camera.name for camera in shown]
        self._pictures = ObservedPictures([camera for camera in robot.cameras if camera.name in observed])
        self._pictures.hear(node, group)

        node.create_subscription(JointState, "joint_states", self._take_joints, SENSOR_OUT, callback_group=group)
        self._wrench: WrenchStamped | None = None
        if feels:
            topic = robot.driver.wrench.topic if robot.driver.wrench else FORCE_TOPIC
            node.create_subscription(WrenchStamped, topic, self._take_wrench, SENSOR_OUT, callback_group=group)
        self._watches = False
        if sees:
            self._watch()
        self._advance = node.create_client(Advance, "simulator/advance", callback_group=replies)
        self._set_scene = node.create_client(SetScene, "simulator/set_scene", callback_group=replies)
        controllers = {robot.arm_controller: list(robot.joints)}
        if robot.gripper:
            controllers[robot.gripper.controller] = [robot.gripper.joint]
        self._commands = {
            name: node.create_publisher(JointTrajectory, f"{name}/joint_trajectory", COMMAND) for name in controllers
        }
        self._messages = {name: TrajectoryMessage(joints) for name, joints in controllers.items()}
        self._motion = Trajectory.at_rest(np.array(robot.home))
        self._period = Advance.Request(duration=to_duration(robot.period_ns), cameras=self._pictures.names)

    def not_ready_reason(self) -> str | None:
        """What keeps the arm from moving yet, in a sentence; None when it is ready."""
        if not self._advance.service_is_ready() or not self._set_scene.service_is_ready():
            return f"waiting for the service {self._advance.service_name}; start the simulator node"
        for publisher in self._commands.values():
            if not publisher.get_subscription_count():
                return f"nobody listens to the topic {publisher.topic_name}; start the controller"
        if self._joint_state is None:
            return "no joint state has come on the topic joint_states yet; start the driver or simulator"
        answer = self._call(self._advance, Advance.Request(publish_image=True))
        if not answer.success:
            return str(answer.message)
        if answer.message and self._pictures.names:
            return f"a policy is to see pictures, but {answer.message}"
        if answer.message:  # there will be no frames, so nobody is to wait for them
            self.cameras = []
        return self._images.connect()

    def reset(self, joints: Array, gripper: float | None, entities: Mapping[str, Pose], capture: bool) -> ArmState:
        request = SetScene.Request(publish_image=capture, cameras=self._pictures.names)
        request.joint_names = list(self._robot.joints)
        positions = joints.tolist()
        if self._robot.gripper and gripper is not None:
            request.joint_names.append(self._robot.gripper.joint)
            positions.append(gripper)
        request.joint_positions = positions
        request.entities.header.frame_id = self._robot.base_frame
        request.entities.names = list(entities)
        request.entities.poses = [to_pose_msg(pose) for pose in entities.values()]
        response = self._call(self._set_scene, request, _SCENE_TIMEOUT)
        if not response.success:
            raise ArmError(f"the simulator refused the scene: {response.message}")
        self._motion = Trajectory.at_rest(joints)
        return self._state(to_ns(response.stamp), capture)

    def now(self) -> Moment:
        """Time passes in :meth:`move` alone: what was measured last is what is."""
        assert self._joint_state is not None
        return Moment(self._read(self._joint_state).joints, self._motion, self._robot.control_period)

    def move(self, motion: Trajectory, gripper: GripperMotion | None, capture: bool) -> ArmState:
        self._motion = motion
        moved = {self._robot.arm_controller: motion}
        if self._robot.gripper and gripper is not None:
            moved[self._robot.gripper.controller] = gripper.way(self._robot.control_period)
        request = self._period
        request.command_stamp, request.controllers = to_time(self._stamp()), list(moved)
        request.publish_image = capture
        # Asked before commanded: the simulator, which waits for the commands, wakes up while they are being published.
        advanced = self._advance.call_async(request)
        self._command(moved, request.command_stamp)
        response = self._answer(self._advance, advanced)
        if not response.success:
            raise ArmError(f"the simulator did not advance: {response.message}")
        return self._state(to_ns(response.stamp), capture)

    def pictures(self) -> dict[str, Picture]:
        return self._pictures.of(self._stamp(), self._loop, _ANSWER_TIMEOUT)

    def frames(self) -> list[Frame]:
        if not self.cameras:
            return []
        if not self._watches:
            self._watch()
            self._loop.spin_until(lambda: self._entities is not None, _POSE_TIMEOUT)
        return self._images.at(self._stamp(), self._poses())

    def _watch(self) -> None:
        self._watches = True
        take = self._take_entities
        self._node.create_subscription(Entities, "entities", take, SENSOR_OUT, callback_group=self._group)

    def _command(self, motions: Mapping[str, Trajectory], stamp: Time) -> None:
        """Publish the motion of each controller's joints."""
        for controller, motion in motions.items():
            message = self._messages[controller].fill(motion)
            message.header.stamp = stamp
            self._commands[controller].publish(message)

    def _call(self, client: Any, request: Any, timeout: float = _ANSWER_TIMEOUT) -> Any:
        return self._answer(client, client.call_async(request), timeout)

    def _answer(self, client: Any, future: Any, timeout: float = _ANSWER_TIMEOUT) -> Any:
        if not self._replies.spin_until(future.done, timeout):
            client.remove_pending_request(future)
            raise ArmError(f"{client.service_name} gave no answer for {timeout:g} s; check the simulator node")
        return future.result()

    def _state(self, stamp_ns: int, capture: bool) -> ArmState:
        """The state with that stamp, which is on its way."""
        self._stamp_due = stamp_ns
        if not self._loop.spin_until(self._is_due, _ANSWER_TIMEOUT) or self._joint_state is None:
            raise StaleState(f"no state of the simulator came for {_ANSWER_TIMEOUT:g} s; check the simulator node")
        self._images.want(capture)
        return self._read(self._joint_state)

    def _is_due(self) -> bool:
        seen = not self._sees or self._entities_stamp() >= self._stamp_due
        felt = not self._feels or (self._wrench is not None and to_ns(self._wrench.header.stamp) >= self._stamp_due)
        return self._stamp() >= self._stamp_due and seen and felt

    def _read(self, message: JointState) -> ArmState:
        index = {name: row for row, name in enumerate(message.name)}
        gripper = self._robot.gripper
        for name in [*self._robot.joints, *([gripper.joint] if gripper else [])]:
            if name not in index:
                raise ArmError(f"joint_states has no joint {name!r}; {did_you_mean(name, list(message.name))}")
        rows = [index[name] for name in self._robot.joints]
        positions = np.array(message.position)
        speeds = np.array(message.velocity) if len(message.velocity) == len(message.name) else np.zeros(len(positions))
        return ArmState(
            to_ns(message.header.stamp),
            positions[rows],
            speeds[rows],
            float(positions[index[gripper.joint]]) if gripper else None,
            self._poses(),
            force_of(self._wrench) if self._wrench else None,
        )

    def _poses(self) -> dict[str, Pose]:
        entities = self._entities
        if entities is None:
            return {}
        return {name: from_pose_msg(pose) for name, pose in zip(entities.names, entities.poses, strict=False)}

    def _stamp(self) -> int:
        return to_ns(self._joint_state.header.stamp) if self._joint_state else -1

    def _entities_stamp(self) -> int:
        return to_ns(self._entities.header.stamp) if self._entities else -1

    def _take_joints(self, message: JointState) -> None:
        self._joint_state = message

    def _take_wrench(self, message: WrenchStamped) -> None:
        self._wrench = message

    def _take_entities(self, message: Entities) -> None:
        self._entities = message
