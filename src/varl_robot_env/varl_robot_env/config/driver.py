"""What a vendor's driver speaks: how it takes commands, and how it says that something is wrong."""

from __future__ import annotations

import re
from typing import Any, Literal, Self

from pydantic import NonNegativeFloat, PositiveFloat, model_validator
from varl_common.config import Config

from varl_robot_env.config.names import Name, Topic, TopicOrNone, Words

ArmInterface = Literal["joint_trajectory", "forward_position", "servo_twist", "cartesian_pose"]
GripperInterface = Literal["joint_trajectory", "position_array", "gripper_command", "parallel_gripper_command"]

# What the command is called where the robot's file does not say: {} is the controller's name.
ARM_COMMANDS: dict[ArmInterface, str] = {
    "joint_trajectory": "{}/joint_trajectory",  # trajectory_msgs/JointTrajectory: joint_trajectory_controller
    "forward_position": "{}/commands",  # std_msgs/Float64MultiArray: forward_command_controller
    "servo_twist": "{}/delta_twist_cmds",  # geometry_msgs/TwistStamped: MoveIt Servo
    "cartesian_pose": "{}/target_pose",  # geometry_msgs/PoseStamped: Cartesian impedance controllers
}
GRIPPER_COMMANDS: dict[GripperInterface, str] = {
    "joint_trajectory": "{}/joint_trajectory",
    "position_array": "{}/commands",
    "gripper_command": "{}/gripper_cmd",  # control_msgs/action/GripperMotion
    "parallel_gripper_command": "{}/gripper_cmd",  # control_msgs/action/ParallelGripperMotion
}


class FaultConfig(Config):
    """A topic on which the driver tells its health. Any value that is not good latches the stop."""

    topic: Topic
    type: Name
    """``package/msg/Name``. Where that package is not installed the env node says so and does not start."""
    field: Name = "data"
    """Dotted path to a bool or a number in the message."""
    good: tuple[bool | int, ...] = ()
    """Values that mean all is well."""
    above: float | None = None
    """Instead of ``good``: all is well while the field is greater than this."""
    optional: bool = False
    """Go on, with a warning, where the message's package is not installed: another fault topic tells the same."""
    latched: bool = False
    """The publisher is transient_local: the value is there before anything changes."""
    stale_after: PositiveFloat | None = None
    """Silence that stops the arm, s, of a topic that repeats itself; None: it speaks only when something changes, and
    the arm stops where its last publisher is gone."""
    meaning: Words
    """For a person: what is wrong, and what to do about it."""

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if bool(self.good) == (self.above is not None):
            raise ValueError("give either good (values) or above (a number)")
        if not re.fullmatch(r"\w+/msg/\w+", self.type):
            raise ValueError(f"type {self.type!r} is not of the form package/msg/Name")
        return self

    def value(self, message: Any) -> float:
        """The field of a message.

        Raises:
            AttributeError: it has no such field.
            TypeError: the field is no number.
        """
        value = message
        for name in self.field.split("."):
            value = getattr(value, name)
        return float(value)

    def is_good(self, value: float) -> bool:
        """Whether the field's value says that all is well."""
        return value > self.above if self.above is not None else value in self.good


JOINT_STATES = "joint_states"
"""Where ros2_control's broadcaster publishes, and a simulator."""

FORCE_TOPIC = "force_torque_sensor_broadcaster/wrench"
"""Where ros2_control's broadcaster publishes, and a simulator whose robot has no sensor in its file."""


class WrenchConfig(Config):
    """A force-torque sensor at the tool (geometry_msgs/WrenchStamped)."""

    topic: Topic
    force: PositiveFloat
    """Norm above which the arm stops, N."""
    torque: PositiveFloat
    """N m."""
    stale_after: PositiveFloat = 0.2
    """Silence that stops the arm, s."""


class DeadmanConfig(Config):
    """A switch that a person holds while the arm may move (std_msgs/Bool, again and again)."""

    topic: Topic
    stale_after: PositiveFloat
    """Silence that counts as let go, s."""


class EstopConfig(Config):
    """A topic on which a person or a device stops the arm (std_msgs/Bool, true: stop). Give each device its own."""

    topic: Topic
    stale_after: PositiveFloat | None = None
    """Silence that stops the arm, s, of a device that repeats itself; None: it speaks only when it is pressed."""


class SpeedScalingConfig(Config):
    """A topic that tells how fast time passes in the controller (std_msgs/Float64): the arm's speed slider."""

    topic: Topic
    full: PositiveFloat
    """Its value at full speed."""
    stale_after: PositiveFloat = 0.2
    """Silence that stops the arm, s."""


class DriverConfig(Config):
    """The driver's interfaces. The defaults are those of ros2_control alone."""

    arm_interface: ArmInterface = "joint_trajectory"
    arm_command: TopicOrNone = ""
    """Topic of the command; empty: the interface's usual name below ``arm_controller``."""
    observation_lead: NonNegativeFloat = 0.0
    """Seconds before the end of each period at which the agent is shown the state, so that its next command can go out
    on the beat."""
    stamped: bool = False
    """Trajectories say by the clock when they began, so that what is late on its way does not jerk the arm. Only where
    this node and the controller have the same clock: one host, or two that chrony keeps together to a millisecond."""
    faults: tuple[FaultConfig, ...] = ()
    wrench: WrenchConfig | None = None
    deadman: DeadmanConfig | None = None
    estops: tuple[EstopConfig, ...] = ()
    """Beside the env node's own ``~/estop``; each must have been heard before the arm moves."""
    speed_scaling: SpeedScalingConfig | None = None
    controller_manager: TopicOrNone = "controller_manager"
    """Node that is asked whether the arm's controller is active, where it is there; empty: it is not asked."""
    joint_states: Topic = JOINT_STATES
    """Topic of the arm's joint states (sensor_msgs/JointState), as near to the arm as there is one: who merges several
    topics into one (joint_state_publisher) repeats itself where nobody measures any more."""
    measures_velocity: bool = True
    """They carry velocities; false: these are taken from the positions."""
