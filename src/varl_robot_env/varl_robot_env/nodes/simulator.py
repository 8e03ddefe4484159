"""The simulator node: MuJoCo behind the topics that a real arm's drivers have."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
from geometry_msgs.msg import WrenchStamped
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory
from varl_common.errors import VarlError
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.messages import fill_pose_msg, from_pose_msg, to_doubles, to_ns, to_pose_msg, to_time
from varl_common.ros.node import declare_parameters, run_node
from varl_common.ros.qos import COMMAND, SENSOR_OUT

from varl_interfaces.msg import Entities
from varl_interfaces.srv import Advance, SetScene
from varl_robot_env.arms.trajectory_messages import from_trajectory_msg
from varl_robot_env.config.driver import FORCE_TOPIC
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.ros.camera_topics import CameraTopics
from varl_robot_env.ros.hot_loop import HotLoop, spin_hot
from varl_robot_env.simulation.description import for_simulation
from varl_robot_env.simulation.simulation import Simulation
from varl_robot_env.simulation.world import SimulatorConfig
from varl_robot_env.tasks.task import Task, load_task

RCLError = rclpy_implementation.RCLError

# How long an Advance waits for the commands that it names, s.
_COMMAND_TIMEOUT = 2.0
# While nothing moves in lock-step the state is published at this rate for those who come late, Hz.
_IDLE_RATE = 2.0
# Real time that could not be kept is given up beyond this lag, s, rather than made up for in a rush.
_MAX_LAG = 0.1
_UPRIGHT = (0.0, 0.0, 0.0, 1.0)  # quaternion of the tool as it stands at home


class SimulatorParameters(SimulatorConfig):
    """Parameters of the node: config/simulator.yaml and what the launch adds."""

    robot_file: Path
    task_file: Path
    """Its things are put on the table."""
    lock_step: bool
    """True: time passes only in Advance; false: by the wall clock."""


class SimulatorNode(Node):
    """Publishes joint states, entities, camera and clock; obeys the controllers' joint_trajectory topics."""

    def __init__(self) -> None:
        super().__init__("simulator")
        self._config = declare_parameters(self, SimulatorParameters)
        self._robot = for_simulation(RobotConfig.from_yaml(self._config.robot_file))
        task = load_task(self._config.task_file)
        self._simulation = Simulation(self._robot, self._config, task.config.things)
        if not self._config.lock_step:
            self._place(task)
        self._lock = threading.RLock()  # in real time the simulation has a thread of its own
        self._command_group, self._service_group = MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()
        self.hot_groups: tuple[CallbackGroup, ...] = (self._command_group, self._service_group)
        self._command_loop = HotLoop(self, self._command_group)
        # In lock-step a command counts when time is to pass: Advance looks for it.
        self.hot_loop = HotLoop(self, *self.hot_groups[1 if self._config.lock_step else 0 :])
        self._commands: dict[str, int] = {}  # stamp of the last command by controller, ns
        self._last_published = 0.0

        self._clock_out = self.create_publisher(Clock, "/clock", SENSOR_OUT)
        self._joints_out = self.create_publisher(JointState, "joint_states", SENSOR_OUT)
        wrench = self._robot.driver.wrench
        topic = wrench.topic if wrench else FORCE_TOPIC
        self._force_out = self.create_publisher(WrenchStamped, topic, SENSOR_OUT) if task.feels or wrench else None
        self._wrench = WrenchStamped(header=Header(frame_id=self._robot.tool_frame))
        self._entities_out = self.create_publisher(Entities, "entities", SENSOR_OUT)
        self._cameras = [
            CameraTopics(self, config, made)
            for config, made in zip(self._robot.cameras, self._simulation.cameras, strict=False)
        ]
        camera_poses = {one.config.name: one.camera.pose for one in self._cameras}  # as calibration tells of real ones
        self._header = Header(frame_id=self._robot.base_frame)
        self._joint_state = JointState(header=self._header, name=self._simulation.joint_names)
        poses = self._simulation.entities() | camera_poses
        self._entities = Entities(header=self._header, names=list(poses))
        self._entities.poses = [to_pose_msg(pose) for pose in poses.values()]
        for controller in self._simulation.controllers:
            topic = f"{controller}/joint_trajectory"
            self.create_subscription(
                JointTrajectory, topic, self._obeys(controller), COMMAND, callback_group=self._command_group
            )
        self.create_service(Advance, "~/advance", self._advance, callback_group=self._service_group)
        self.create_service(SetScene, "~/set_scene", self._set_scene, callback_group=self._service_group)

        Diagnostics(self, "simulation", self._health, self._robot.name)
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        if self._config.lock_step:
            self.create_timer(1 / _IDLE_RATE, self._idle)
        else:
            self._threads = [
                threading.Thread(target=self._alive, args=[run], daemon=True) for run in (self._run, self._film)
            ]
            for thread in self._threads:
                thread.start()
        pace = "lock-step" if self._config.lock_step else "real time"
        self.get_logger().info(f"simulating {self._robot.name} with MuJoCo in {pace}")

    def destroy_node(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(2.0)
        for camera in self._simulation.cameras:
            camera.close()
        super().destroy_node()

    def _place(self, task: Task) -> None:
        """Put things where an episode could begin: in a heap at the base's origin they would press on the arm, and one
        that is pressed is not ready for a first reset."""
        places = task.sample(np.random.default_rng(0), np.array([*self._simulation.tool, *_UPRIGHT]))
        self._simulation.place({name: pose for name, pose in places.items() if task.config.things[name].object})

    def _obeys(self, controller: str) -> Callable[[JointTrajectory], None]:
        """A callback for the controller's commands; like the real one it warns of a bad command and does not move."""

        def obey(message: JointTrajectory) -> None:
            try:
                trajectory = from_trajectory_msg(message)
                with self._lock:
                    self._simulation.command(controller, message.joint_names, trajectory)
            except VarlError as error:
                self.get_logger().warning(f"{controller}: {error}; command ignored")
                return
            self._commands[controller] = to_ns(message.header.stamp)

        return obey

    def _advance(self, request: Advance.Request, response: Advance.Response) -> Advance.Response:
        if not self._config.lock_step:
            return _answer(response, "the simulator runs in real time; set its parameter lock_step to advance it")
        stamp, controllers = to_ns(request.command_stamp), list(request.controllers)
        if not self._command_loop.spin_until(lambda: self._arrived(stamp, controllers), _COMMAND_TIMEOUT):
            return _answer(response, f"no command with that stamp came for {' and '.join(controllers)}")
        with self._lock:  # against the idle timer
            try:
                self._simulation.advance(to_ns(request.duration))
            except VarlError as error:
                return _answer(response, str(error))
            if request.duration.sec or request.duration.nanosec:
                self._publish_state()
            no_pictures = self._publish_pictures(request)
        response.stamp = to_time(self._simulation.time_ns)
        _answer(response).message = no_pictures
        return response

    def _set_scene(self, request: SetScene.Request, response: SetScene.Response) -> SetScene.Response:
        joints = dict(zip(request.joint_names, request.joint_positions, strict=False))
        entities = dict(zip(request.entities.names, map(from_pose_msg, request.entities.poses), strict=False))
        numbers = [*request.joint_positions, *(number for pose in entities.values() for number in pose)]
        try:
            if len(request.joint_names) != len(request.joint_positions) or not np.isfinite(numbers).all():
                raise VarlError("expected one finite position for each joint, and finite poses")
            with self._lock:
                if joints:
                    self._simulation.set_scene(joints, entities)
                else:
                    self._simulation.place(entities)
        except VarlError as error:
            return _answer(response, str(error))
        with self._lock:
            response.stamp = to_time(self._simulation.time_ns)
            self._publish_state()
            self._publish_pictures(request)
        return _answer(response)

    def _arrived(self, stamp: int, controllers: list[str]) -> bool:
        return stamp == 0 or all(self._commands.get(controller) == stamp for controller in controllers)

    def _health(self) -> Health:
        warning = next((one.camera.error for one in self._cameras if one.camera.error), None)
        figures = {"simulated time (s)": self._simulation.time_ns / 1e9}
        return Health("lock-step" if self._config.lock_step else "real time", warning or "", values=figures)

    def _idle(self) -> None:
        with self._lock:
            if time.monotonic() - self._last_published > 1 / _IDLE_RATE:
                self._publish_state()

    def _publish_state(self) -> None:
        """Fill in and publish messages that are made once: making them anew would take longer than sending them."""
        seconds, nanoseconds = divmod(self._simulation.time_ns, 1_000_000_000)
        stamp = self._header.stamp
        stamp.sec, stamp.nanosec = seconds, nanoseconds
        positions, speeds = self._simulation.joints()
        self._joint_state.position, self._joint_state.velocity = to_doubles(positions), to_doubles(speeds)
        if self._entities_out.get_subscription_count():
            for name, pose in self._simulation.entities().items():
                fill_pose_msg(self._entities.poses[self._entities.names.index(name)], pose)
            self._entities_out.publish(self._entities)
        if self._force_out:
            force = self._wrench.wrench.force
            self._wrench.header.stamp = stamp
            force.x, force.y, force.z = self._simulation.force().tolist()
            self._force_out.publish(self._wrench)
        self._joints_out.publish(self._joint_state)
        if self._clock_out.get_subscription_count():
            self._clock_out.publish(Clock(clock=stamp))
        self._last_published = time.monotonic()

    def _publish_pictures(self, request: Advance.Request | SetScene.Request) -> str:
        """What the cameras are asked for: those that are shown, with depth, and others by name, in color.

        Returns:
            why there are none, where this machine cannot render.
        """
        stamp, data = self._simulation.time_ns, self._simulation.data
        for one in self._cameras:
            framed = request.publish_image and one.config.shown
            if framed or one.config.name in request.cameras:
                one.publish(stamp, data, depth=framed)
        return next((one.camera.error for one in self._cameras if one.camera.error), "")

    def _alive(self, run: Callable[[], None]) -> None:
        """``run``, whose last message may come too late for a node that is shutting down."""
        try:
            run()
        except RCLError:
            if self.context.ok():
                raise

    def _run(self) -> None:
        """Real time: simulate and publish at the joint state rate, by absolute deadlines."""
        period_ns = max(1, round(1e9 / self._config.joint_state_rate / self._simulation.step_ns))
        period_ns *= self._simulation.step_ns
        deadline = time.monotonic()
        while not self._ended.is_set():
            deadline = max(deadline + period_ns * 1e-9, time.monotonic() - _MAX_LAG)
            time.sleep(max(0.0, deadline - time.monotonic()))
            with self._lock:
                self._simulation.advance(period_ns)
                self._publish_state()

    def _film(self) -> None:
        """Real time: publish pictures at the cameras' rate while somebody watches."""
        period = 1 / self._config.camera_rate
        while not self._ended.wait(period):
            watched = [one for one in self._cameras if one.watched]
            if watched:
                with self._lock:
                    stamp, data = self._simulation.time_ns, self._simulation.snapshot()
                for one in watched:
                    one.publish(stamp, data, depth=one.depth_watched)


def _answer(response: Advance.Response | SetScene.Response, problem: str = "") -> Advance.Response | SetScene.Response:
    response.success, response.message = not problem, problem
    return response


def main() -> None:
    """Entry point of the ``simulator`` executable."""
    run_node(SimulatorNode, lambda node: spin_hot(cast(SimulatorNode, node)))
