"""A stand-in for an arm's driver: ur_robot_driver's topics and habits without an arm, with faults on demand.

It is no simulator: nothing has mass and nothing is touched. It is there to show that the stack copes with the wire.
Inject a fault with ``ros2 param set /standin_driver fault protective_stop``; a real one would be cleared by a person,
so here too: ``standin_driver/unlock_protective_stop`` and ``io_and_status_controller/resend_robot_program``.
"""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path

import numpy as np
import rclpy
from geometry_msgs.msg import WrenchStamped
from pydantic import Field
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64, Float64MultiArray, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory
from varl_common.config import Config
from varl_common.errors import VarlError, did_you_mean
from varl_common.ros.messages import to_ns
from varl_common.ros.node import declare_parameters, run_node
from varl_common.ros.qos import COMMAND, LATCHED

from varl_robot_env.arms.trajectory_messages import from_trajectory_msg
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.motion import Trajectory
from varl_robot_env.standin.faults import DriverFault
from varl_robot_env.standin.gripper_action import GripperAction
from varl_robot_env.standin.plant import SERVO_LAG, Plant

_LATE = 0.5  # s
_CONTACT_FORCE = 120.0  # N: above every sensible threshold
_CONTACT_EFFORT = 200.0  # N m
_NOISE = 1e-5  # rad: what encoders add
_SLOW = 10  # the gripper, speed scaling and force come once in so many joint states


class StandinDriverConfig(Config):
    """The node's parameters."""

    robot_file: Path = Field(description="the robot's file, absolute")
    urdf_file: Path = Field(description="published on robot_description, absolute")
    rate: float = Field(default=500.0, gt=0, description="joint states a second, Hz")
    jitter: float = Field(default=0.0005, ge=0, description="standard deviation of their times, s")
    dropout: float = Field(default=0.01, ge=0, le=1, description="share of joint states that never come")
    servo_lag: float = Field(default=SERVO_LAG, ge=0, description="time constant of the servos, s")
    seed: int = Field(default=0, description="of jitter, drop-outs and noise")


class StandinDriver(Node):
    """Joint states out, trajectories in, and the state of a UR's program, speed slider and force sensor."""

    def __init__(self) -> None:
        """Raises VarlError where a parameter or file is wrong."""
        super().__init__("standin_driver")
        self._config = config = declare_parameters(self, StandinDriverConfig)
        self._robot = robot = RobotConfig.from_yaml(config.robot_file)
        self._rng = np.random.default_rng(config.seed)
        gripper = robot.gripper
        opened, speed = (gripper.open, gripper.speed) if gripper else (0.0, 1.0)
        self.plant = Plant(np.array(robot.home), opened, opened, speed, config.servo_lag)
        self.commands = 0
        self._fault = DriverFault.NONE
        self._protected = False
        self._lock = threading.Lock()
        self.declare_parameter("fault", DriverFault.NONE.value)
        self.add_on_set_parameters_callback(self._on_parameters)

        self._joints = self.create_publisher(JointState, robot.driver.joint_states, qos_profile_sensor_data)
        if gripper:
            self._gripper = self.create_publisher(JointState, gripper.joint_states, qos_profile_sensor_data)
        self._running = self._publish_running(True)
        self._scaling = self.create_publisher(Float64, "speed_scaling_state_broadcaster/speed_scaling", 10)
        wrench = robot.driver.wrench.topic if robot.driver.wrench else "force_torque_sensor_broadcaster/wrench"
        self._wrench = self.create_publisher(WrenchStamped, wrench, 10)
        self._description = self.create_publisher(String, "robot_description", LATCHED)
        self._description.publish(String(data=config.urdf_file.read_text(encoding="utf-8")))
        if robot.driver.arm_interface == "joint_trajectory":
            self.create_subscription(JointTrajectory, robot.arm_command, self._on_trajectory, COMMAND)
        else:
            self.create_subscription(Float64MultiArray, robot.arm_command, self._on_positions, COMMAND)
        if gripper and gripper.interface == "joint_trajectory":
            self.create_subscription(JointTrajectory, gripper.command_name, self._on_gripper, COMMAND)
        elif gripper and gripper.interface == "position_array":
            self.create_subscription(Float64MultiArray, gripper.command_name, self._on_gripper_array, COMMAND)
        elif gripper:
            try:
                self.gripper_action = GripperAction(self, gripper, self.plant.command_gripper)
            except ImportError:
                self.get_logger().warning("control_msgs is not installed: the gripper's action is not served")
        self.create_service(Trigger, "io_and_status_controller/resend_robot_program", self._resend_program)
        self.create_service(Trigger, "~/unlock_protective_stop", self._unlock)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.get_logger().info(
            f"stands in for {robot.name}: hears {robot.arm_command}, tells {self._joints.topic_name}"
        )

    def inject(self, fault: DriverFault) -> None:
        """Let ``fault`` happen, or, with ``NONE``, end those that end by themselves."""
        with self._lock:
            self._fault = fault
            self.plant.slips = fault is DriverFault.SLIP
            self.plant.speed_scaling = 0.0 if fault is DriverFault.SPEED_ZERO else 1.0
            if fault is DriverFault.PROTECTIVE_STOP:
                self._protected = True
            stands = (DriverFault.PROTECTIVE_STOP, DriverFault.PROGRAM_STOPPED, DriverFault.CONTROLLER_INACTIVE)
            if fault in stands:
                self.plant.disable()
            if fault in stands[:2]:
                self._running.publish(Bool(data=False))
            if fault is DriverFault.NO_PROGRAM:
                self.destroy_publisher(self._running)

    def _publish_running(self, running: bool) -> Publisher:
        publisher = self.create_publisher(Bool, "io_and_status_controller/robot_program_running", LATCHED)
        publisher.publish(Bool(data=running))
        return publisher

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == "fault":
                names = [fault.value for fault in DriverFault]
                if parameter.value not in names:
                    return SetParametersResult(successful=False, reason=did_you_mean(str(parameter.value), names))
                self.inject(DriverFault(parameter.value))
        return SetParametersResult(successful=True)

    def _unlock(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._protected = False
        response.success = True
        return response

    def _resend_program(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._protected:
            response.message = "in protective stop: unlock it first"
            return response
        with self._lock:
            self._fault = DriverFault.NONE
            self.plant.enable()
            self.plant.speed_scaling = 1.0
            self.destroy_publisher(self._running)
            self._running = self._publish_running(True)
        response.success = True
        return response

    def _on_trajectory(self, message: JointTrajectory) -> None:
        self.commands += 1
        try:
            if sorted(message.joint_names) != sorted(self._robot.joints):
                raise VarlError(f"it names the joints {message.joint_names}")
            order = [message.joint_names.index(joint) for joint in self._robot.joints]
            asked = from_trajectory_msg(message)
            speeds = None if asked.velocities is None else asked.velocities[:, order]
            stamp = to_ns(message.header.stamp)
            begun = (self.get_clock().now().nanoseconds - stamp) * 1e-9 if stamp else 0.0
            self._command(Trajectory(asked.times, asked.positions[:, order], speeds), begun)
        except VarlError as error:
            self.get_logger().error(f"trajectory rejected: {error}")

    def _on_positions(self, message: Float64MultiArray) -> None:
        self.commands += 1
        self._command(Trajectory.at_rest(np.array(message.data)))  # a forward controller jumps

    def _command(self, trajectory: Trajectory, begun: float = 0.0) -> None:
        with self._lock:
            if self._fault is DriverFault.LOST_COMMANDS and self.commands % 2:
                return
            self.plant.command(trajectory, _LATE if self._fault is DriverFault.LATE_COMMANDS else 0.0, begun)

    def _on_gripper(self, message: JointTrajectory) -> None:
        if message.points:
            self.plant.command_gripper(message.points[-1].positions[0])

    def _on_gripper_array(self, message: Float64MultiArray) -> None:
        self.plant.command_gripper(message.data[0])

    def _run(self) -> None:
        """The driver's own loop: a thread, as the real one's is, which callbacks do not delay."""
        period, count = 1.0 / self._config.rate, 0
        due = last = time.monotonic()
        while rclpy.ok():
            due += period
            pause = due + self._rng.normal(0.0, self._config.jitter) - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            now = time.monotonic()
            due = max(due, now - 0.1)  # after a stall, do not make up for more than that
            with self._lock:
                self.plant.step(max(now - last, 1e-6))
                fault = self._fault
            last, count = now, count + 1
            try:
                self._publish(fault, slow=count % _SLOW == 0)
            except Exception:  # the context went away under the thread
                return

    def _publish(self, fault: DriverFault, slow: bool) -> None:
        stamp = self.get_clock().now().to_msg()
        plant, contact = self.plant, fault is DriverFault.CONTACT
        if fault is not DriverFault.SILENT and self._rng.random() >= self._config.dropout:
            state = JointState(name=list(self._robot.joints))
            state.header.stamp = stamp
            state.position = (plant.positions + self._rng.normal(0, _NOISE, len(plant.positions))).tolist()
            state.velocity = plant.velocities.tolist()
            state.effort = [_CONTACT_EFFORT if contact else 1.0] * len(self._robot.joints)
            self._joints.publish(_broken(state, fault))
        if not slow:
            return
        if self._robot.gripper and fault is not DriverFault.SILENT:  # its own driver publishes it
            state = JointState(name=[self._robot.gripper.joint], position=[plant.gripper])
            state.header.stamp = stamp
            self._gripper.publish(state)
        runs = plant.enabled or fault is DriverFault.CONTROLLER_INACTIVE
        self._scaling.publish(Float64(data=100.0 * plant.speed_scaling if runs else 0.0))
        wrench = WrenchStamped()
        wrench.header.stamp, wrench.header.frame_id = stamp, self._robot.tool_frame
        wrench.wrench.force.z = -_CONTACT_FORCE if contact else 2.0
        if fault is DriverFault.NAN_FORCE:
            wrench.wrench.force.x = wrench.wrench.torque.x = math.nan
        if fault is not DriverFault.NO_FORCE:
            self._wrench.publish(wrench)


def _broken(state: JointState, fault: DriverFault) -> JointState:
    """A joint state as broken drivers publish it."""
    if fault is DriverFault.NAN_VELOCITY:
        state.velocity[2] = math.nan
    if fault is DriverFault.NAN_EFFORT:
        state.effort[2] = math.nan
    if fault is DriverFault.SHORT_POSITIONS:
        state.position.pop()
    if fault is DriverFault.ONE_JOINT_SILENT:
        for array in (state.name, state.position, state.velocity, state.effort):
            array.pop()
    return state


def main() -> None:
    """Entry point of the ``standin_driver`` executable."""
    run_node(StandinDriver)
