"""The simulator node of Gazebo: ``simulator/advance`` and ``simulator/set_scene`` on Gazebo's world control.

Beside it run the Gazebo server, gz_ros2_control inside of it with its controllers, and ros_gz_bridge with
config/gazebo/bridge.yaml and the world's services ``control`` and ``set_pose``.

What time it is, and where the joints are, it hears from Gazebo's own publisher, whose every message comes.
joint_state_broadcaster, which a driver has too, leaves out what its publisher has no time for: seen was the last
state of every second step. So in lock-step this node tells the state after each step as the broadcaster would.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseStamped
from pydantic import Field
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from varl_common.config import Config
from varl_common.errors import VarlError
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.messages import from_pose_msg, to_duration, to_ns, to_pose_msg, to_time
from varl_common.ros.node import declare_parameters, run_node
from varl_common.ros.qos import COMMAND, SENSOR_OUT

from varl_interfaces.msg import Entities
from varl_interfaces.srv import Advance, SetScene
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.ros.hot_loop import HotLoop, spin_hot
from varl_robot_env.simulation.gazebo import Gazebo, World
from varl_robot_env.types import Pose

# s of wall time for a service of Gazebo, and for the steps it was told to take: less than the env waits for Advance
_ANSWER_TIMEOUT = 2.5
_COMMAND_TIMEOUT = 2.0  # s: how long an Advance waits for the commands that it names
_REPORT_EVERY = 5.0  # s
_REPEAT_EVERY = 0.5  # s
# Of the bridge's topics: what comes last of a step must come, and what it was before is of no interest.
_EVERY = QoSProfile(depth=5)
_MODEL = 2  # ros_gz_interfaces/msg/Entity.MODEL


class GazeboParameters(Config):
    """Parameters of the node."""

    robot_file: Path = Field(description="the robot's file, absolute")
    world_file: Path = Field(description="the world's SDF, absolute")
    lock_step: bool = Field(description="true: time passes only in Advance; false: by the wall clock")
    patience: float = Field(120.0, description="s to wait for Gazebo, its bridge and its controllers", gt=0)


class _RepeatingLoop(HotLoop):
    """The main loop, in whose thread a state that is old enough is told again."""

    def __init__(self, node: GazeboNode, *groups: CallbackGroup) -> None:
        super().__init__(node, *groups)
        self._repeat = node.repeat

    def spin(self) -> None:
        while True:
            self.spin_once(_REPEAT_EVERY)
            self._repeat()


class GazeboNode(Node):
    """Its services are there once Gazebo stands ready. It is the :class:`.simulation.gazebo.Engine`, too."""

    def __init__(self) -> None:
        """Raises VarlError where a file is wrong or ros_gz_interfaces is not installed."""
        super().__init__("gazebo")
        self._config = declare_parameters(self, GazeboParameters)
        robot = RobotConfig.from_yaml(self._config.robot_file)
        self._robot, self._world = robot, World.from_sdf(self._config.world_file)
        self._gazebo = Gazebo(robot, self, self._world.step_ns)
        self._topic_group, self._call_group, self._service_group = (MutuallyExclusiveCallbackGroup() for _ in range(3))
        self.hot_groups: tuple[CallbackGroup, ...] = (self._topic_group, self._call_group, self._service_group)
        self.hot_loop: HotLoop = _RepeatingLoop(self, self._topic_group, self._service_group)
        self._topic_loop, self._call_loop = HotLoop(self, self._topic_group), HotLoop(self, self._call_group)
        self.positions: dict[str, float] = {}
        self.time_ns = 0
        self._poses: dict[str, Pose] = {}
        self._pose_ns = 0
        self._commands: dict[str, int] = {}  # stamp of the last command by controller, ns

        self._types, manager = _services()
        client = partial(self.create_client, callback_group=self._call_group)
        self._control = client(self._types.ControlWorld, f"/world/{self._world.name}/control")
        self._set_pose = client(self._types.SetEntityPose, f"/world/{self._world.name}/set_pose")
        self._list_controllers = client(manager.ListControllers, "controller_manager/list_controllers")
        subscribe = partial(self.create_subscription, callback_group=self._topic_group)
        subscribe(JointState, "gazebo/joint_states", self._on_joints, _EVERY)
        subscribe(PoseStamped, "block/pose", self._on_block, _EVERY)
        self._joints = {robot.arm_controller: list(robot.joints)}
        if robot.gripper:
            self._joints[robot.gripper.controller] = [robot.gripper.joint]
        self._command_out: dict[str, Any] = {}
        for controller in self._joints:
            topic = f"{controller}/joint_trajectory"
            subscribe(JointTrajectory, topic, partial(self._on_command, controller), COMMAND)
            self._command_out[controller] = self.create_publisher(JointTrajectory, topic, COMMAND)
        self._joints_out = self.create_publisher(JointState, "joint_states", SENSOR_OUT)
        self._entities_out = self.create_publisher(Entities, "entities", SENSOR_OUT)
        self._newest: JointState | None = None
        self._told_at = 0.0
        Diagnostics(self, "simulation", self._health, robot.name)

    def _health(self) -> Health:
        return Health("simulates", self._missing() or "", values={"simulated time (s)": self.time_ns / 1e9})

    def connect(self) -> None:
        """Wait for all that must be there, let the world stand still, and offer the services.

        Raises:
            VarlError: something did not come.
        """
        begin = report = time.monotonic()
        while missing := self._missing() or self._inactive():
            now = time.monotonic()
            if now - begin > self._config.patience:
                raise VarlError(f"gave up after {self._config.patience:g} s: {missing}")
            if now - report > _REPORT_EVERY:
                report = now
                self.get_logger().warning(missing)
            self._topic_loop.spin_until(lambda: False, 0.1)
        if self._config.lock_step:  # controllers come up only while time passes, so it did until now
            self._tell_world(pause=True)
            self._topic_loop.spin_until(lambda: False, 0.5)
            self._gazebo.align()
        self.create_service(Advance, "simulator/advance", self._advance, callback_group=self._service_group)
        self.create_service(SetScene, "simulator/set_scene", self._set_scene, callback_group=self._service_group)
        pace = "lock-step" if self._config.lock_step else "real time"
        self.get_logger().info(f"simulating {self._robot.name} with Gazebo in {pace}")

    def repeat(self) -> None:
        """Where time stands still, tell those who come late the state that it stands at."""
        if self._config.lock_step and self._newest and time.monotonic() - self._told_at > _REPEAT_EVERY:
            self._publish_state()

    def step(self, steps: int) -> None:
        due = self.time_ns + steps * self._world.step_ns
        if self._config.lock_step:
            self._tell_world(pause=True, multi_step=steps)
        if not self._topic_loop.spin_until(lambda: self.time_ns >= due and self._pose_ns >= due, _ANSWER_TIMEOUT):
            what = "joint states" if self.time_ns < due else "pose of the block"
            raise VarlError(f"Gazebo took its steps, but no {what} came; look whether its controllers and bridge run")

    def command(self, controller: str, positions: Mapping[str, float], seconds: float) -> None:
        point = JointTrajectoryPoint(positions=list(positions.values()))
        point.time_from_start = to_duration(round(seconds * 1e9))
        self._command_out[controller].publish(JointTrajectory(joint_names=list(positions), points=[point]))
        self._wait_for_controllers()

    def place(self, entity: str, pose: Pose) -> None:
        request = self._types.SetEntityPose.Request(pose=to_pose_msg(pose))
        request.entity.name, request.entity.type = entity, _MODEL
        self._call(self._set_pose, request)
        self._poses[entity] = pose

    def _missing(self) -> str | None:
        """What has yet to come, in a sentence."""
        for client in (self._control, self._set_pose):
            if not client.service_is_ready():
                return f"waiting for the service {client.service_name}; start Gazebo and ros_gz_bridge with it"
        if not self._list_controllers.service_is_ready():
            return f"waiting for {self._list_controllers.service_name}; look whether Gazebo loaded gz_ros2_control"
        lacks = [joint for joints in self._joints.values() for joint in joints if joint not in self.positions]
        if lacks:
            return f"no joint state of {', '.join(lacks)} has come; bridge the topic gazebo/joint_states"
        return None if self._pose_ns else "no pose of the block has come; bridge the topic block/pose"

    def _inactive(self) -> str | None:
        """Which controller does not run, in a sentence. A controller's subscription is there before it obeys."""
        response = self._ask(self._list_controllers, self._list_controllers.srv_type.Request())
        states = {controller.name: controller.state for controller in response.controller}
        for name in self._joints:
            if states.get(name) != "active":
                return f"{name} is {states.get(name, 'not loaded')}, not active; look at the output of its spawner"
        return None

    def _wait_for_controllers(self) -> None:
        """Let the controllers take the commands that were sent, before time passes.

        The answer comes from the very executor that hands them their commands. It is no proof: nothing says that a
        command was taken, and one that was not is carried out a physics step later.

        Raises:
            VarlError: one of them does not run.
        """
        if problem := self._inactive():
            raise VarlError(problem)

    def _advance(self, request: Advance.Request, response: Advance.Response) -> Advance.Response:
        if not self._config.lock_step:
            return _answer(response, "Gazebo runs in real time; set the node's parameter lock_step to advance it")
        stamp, controllers = to_ns(request.command_stamp), list(request.controllers)

        def arrived() -> bool:
            return stamp == 0 or all(self._commands.get(controller) == stamp for controller in controllers)

        if not self._topic_loop.spin_until(arrived, _COMMAND_TIMEOUT):
            return _answer(response, f"no command with that stamp came for {' and '.join(controllers)}")

        def advance() -> None:
            if stamp:
                self._wait_for_controllers()
            self._gazebo.advance(to_ns(request.duration))

        return self._do(advance, response)

    def _set_scene(self, request: SetScene.Request, response: SetScene.Response) -> SetScene.Response:
        joints = dict(zip(request.joint_names, request.joint_positions, strict=False))
        entities = dict(zip(request.entities.names, map(from_pose_msg, request.entities.poses), strict=False))
        return self._do(lambda: self._gazebo.arrange(joints, entities), response)

    def _do(self, act: Callable[[], None], response: Any) -> Any:
        try:
            act()
        except VarlError as error:
            return _answer(response, str(error))
        self._publish_state()
        response.stamp = to_time(self.time_ns)
        return _answer(response)

    def _tell_world(self, **control: Any) -> None:
        request = self._types.ControlWorld.Request()
        for name, value in control.items():
            setattr(request.world_control, name, value)
        self._call(self._control, request)

    def _call(self, client: Any, request: Any) -> None:
        if not self._ask(client, request).success:
            raise VarlError(f"Gazebo refused {client.service_name}; look at its own output")

    def _ask(self, client: Any, request: Any) -> Any:
        future = client.call_async(request)
        if not self._call_loop.spin_until(future.done, _ANSWER_TIMEOUT):
            client.remove_pending_request(future)
            raise VarlError(f"{client.service_name} gave no answer for {_ANSWER_TIMEOUT:g} s; look whether Gazebo runs")
        return future.result()

    def _publish_state(self) -> None:
        if self._newest and self._config.lock_step:
            self._joints_out.publish(self._newest)
            self._told_at = time.monotonic()
        self._publish_entities()

    def _publish_entities(self) -> None:
        message = Entities()
        message.header.stamp, message.header.frame_id = to_time(self.time_ns), self._robot.base_frame
        for name, pose in {**self._poses, **self._world.cameras}.items():
            message.names.append(name)
            message.poses.append(to_pose_msg(pose))
        self._entities_out.publish(message)

    def _on_joints(self, message: JointState) -> None:
        self.positions.update(zip(message.name, message.position, strict=False))
        self.time_ns = to_ns(message.header.stamp)
        self._newest = message

    def _on_block(self, message: PoseStamped) -> None:
        self._poses["block"], self._pose_ns = from_pose_msg(message.pose), to_ns(message.header.stamp)
        if not self._config.lock_step:
            self._publish_entities()

    def _on_command(self, controller: str, message: JointTrajectory) -> None:
        self._commands[controller] = to_ns(message.header.stamp)


def _services() -> tuple[Any, Any]:
    """The service types of Gazebo's world, and those of controller_manager."""
    try:
        return importlib.import_module("ros_gz_interfaces.srv"), importlib.import_module("controller_manager_msgs.srv")
    except ImportError as error:
        raise VarlError(
            f"Gazebo needs the package {error.name}, which is not installed; it comes with ros_gz or ros2_control"
        ) from None


def _answer(response: Any, problem: str = "") -> Any:
    response.success, response.message = not problem, problem
    return response


def main() -> None:
    """Entry point of the ``gazebo`` executable."""

    def spin(node: GazeboNode) -> None:
        node.connect()
        spin_hot(node)

    run_node(GazeboNode, spin)
