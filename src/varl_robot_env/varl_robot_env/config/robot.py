"""A robot, as its file in config/robots describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, PositiveFloat, field_validator, model_validator
from varl_common.config import Config
from varl_common.errors import VarlError
from varl_common.yaml_file import load_yaml

from varl_robot_env.config.driver import (
    ARM_COMMANDS,
    GRIPPER_COMMANDS,
    JOINT_STATES,
    DriverConfig,
    GripperInterface,
)
from varl_robot_env.config.names import Name, Topic, TopicOrNone
from varl_robot_env.config.paths import resolve

Vector3 = tuple[float, float, float]
STATE = "state"
"""What the numbers are called in an observation that has pictures as well."""
_SCALING = "std_msgs/msg/Float64"


class GripperConfig(Config):
    """A parallel gripper, commanded by the position of one of its joints."""

    controller: Topic
    """Name of its controller."""
    interface: GripperInterface = "joint_trajectory"
    command: TopicOrNone = ""
    """Topic or action of the command; empty: the interface's usual name below ``controller``."""
    joint: Name
    open: float
    """Joint position when open, m (rad for a revolute one)."""
    closed: float
    """Joint position when closed on nothing, m."""
    speed: PositiveFloat
    """Greatest joint speed, m/s."""
    stale_after: PositiveFloat | None = 1.0
    """Silence of its joint that stops an arm whose task grasps, s; None: its driver speaks only when it moves."""
    joint_states: Topic = JOINT_STATES
    """Topic on which its joint is published; the arm's may be another: ``driver.joint_states``."""
    max_effort: Annotated[float, Field(ge=0)] = 0.0
    """Greatest effort that an action asks for, N (N m); 0: the driver's own."""

    @model_validator(mode="after")
    def _opens(self) -> Self:
        if self.open == self.closed:
            raise ValueError(f"open and closed are both {self.open:g}; give the joint's position in each")
        return self

    @property
    def command_name(self) -> str:
        """Topic or action that commands go to."""
        return self.command or GRIPPER_COMMANDS[self.interface].format(self.controller)


class SafetyConfig(Config):
    """Bounds that no command leaves, whatever the agent asks for."""

    workspace_low: Vector3
    """Corner of the box that the tool stays in, m, base frame."""
    workspace_high: Vector3
    joint_speed: list[PositiveFloat]
    """Greatest speed of each joint, rad/s."""
    joint_acceleration: list[PositiveFloat]
    """Greatest acceleration of each joint, rad/s^2."""
    joint_effort: list[PositiveFloat] | None = None
    """Measured effort (N m, from joint_states) of a joint above which the arm stops; None: not watched."""
    joint_margin: Annotated[float, Field(ge=0)]
    """Distance kept from the URDF's joint limits, rad."""
    leash: PositiveFloat
    """Greatest distance of the commanded tool position from the measured one, m."""
    stale_after: PositiveFloat
    """Age at which a joint state no longer counts, s."""
    entities_stale_after: PositiveFloat = 1.0
    """Time without a sighting of the task's things after which the arm stops, s; real arms only."""
    camera_stale_after: PositiveFloat | None = None
    """Time without a camera_info after which the arm stops, s; None: cameras are not watched. Real arms only."""

    @model_validator(mode="after")
    def _box_is_a_box(self) -> Self:
        if any(low >= high for low, high in zip(self.workspace_low, self.workspace_high, strict=True)):
            raise ValueError("workspace_low must be below workspace_high on every axis; swap the corners")
        return self


class TurnConfig(Config):
    """How the tool may turn, whoever turns it."""

    scale: PositiveFloat
    """Radians that the tool turns about an axis in one period at an action of 1."""
    speed: PositiveFloat
    """Greatest angular speed of the tool, rad/s."""
    cone: Annotated[float, Field(gt=0, lt=3.14)]
    """Greatest angle that the tool leans from how it stands at home, rad: what is vertical there stays in this cone."""
    leash: PositiveFloat
    """Greatest angle of the commanded orientation from the measured one, rad."""


class ViewConfig(Config):
    """What a policy sees of a camera's picture: a part of it, as a square."""

    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    """Left, top, right and bottom of the part, as shares of the picture's width and height."""
    side: Annotated[int, Field(ge=8)]
    """Pixels along a side of what is left of it."""
    stale_after: PositiveFloat = 0.5
    """Silence of its pictures after which an arm that a policy moves by them stops, s; real arms only."""

    @field_validator("crop")
    @classmethod
    def _is_a_part(cls, crop: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        left, top, right, bottom = crop
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ValueError("expected shares from 0 to 1: left below right, top below bottom")
        return crop


class SimulationConfig(Config):
    """What a simulator builds the arm from, where the driver publishes the arm's own description."""

    urdf: str
    """``package://`` URI, or a path relative to the robot's file. What ends in ``.xacro`` is expanded."""
    arguments: dict[str, str] = {}  # noqa: RUF012  (pydantic copies it)
    """Of xacro."""


class CameraConfig(Config):
    """A color camera by its ROS topics."""

    name: Name
    image_topic: Topic
    info_topic: Topic
    depth_topic: TopicOrNone = ""
    """Depth aligned with the color picture; empty: there is none."""
    calibration: str = ""
    """File that the calibration wrote, relative to the robot's file; empty: where the camera is, is not known."""
    shown: bool = True
    """Its frames go to advisors and into films; false: only a policy looks through it."""
    stale_after: PositiveFloat = 0.2
    """Age of a frame, s, from which on it is not shown as the moment of an action. Where time waits, none is older."""
    view: ViewConfig | None = None
    """What a policy that sees pictures sees of it; None: nothing."""


class RobotConfig(Config):
    """An arm, its gripper and cameras: names, limits, rates."""

    name: Name
    urdf: str
    """``package://`` URI, a path relative to the robot's file, ``topic://`` and a topic, or the XML itself."""
    prefix: str = ""
    """What the driver was told to put before the names of joints and links, as for two arms in one graph: ``left_``."""
    urdf_file: Path | None = None
    """Where ``urdf`` was read from, where that is the XML itself: meshes are relative to it."""
    simulation: SimulationConfig | None = None
    """Where ``urdf`` is a topic."""
    base_frame: Name
    tool_frame: Name
    """Frame of the point that the tasks are about: between the fingertips."""
    tool_parent: str = ""
    """Where the URDF has no such frame: the one that it is fixed to, ``tool_offset`` away."""
    tool_offset: Vector3 = (0.0, 0.0, 0.0)
    """m, in ``tool_parent``."""
    arm_controller: Topic
    """Name of the arm's controller."""
    joints: Annotated[list[Name], Field(min_length=1)]
    """In the order of every joint vector."""
    home: list[float]
    """Joint positions at the start of an episode, rad; the tool's orientation there is kept."""
    gripper: GripperConfig | None
    control_period: PositiveFloat
    """Seconds that one action lasts."""
    action_scale: PositiveFloat
    """Metres the tool moves along an axis in one period at an action of 1."""
    turn: TurnConfig | None = None
    """None: the tool keeps its orientation, and tasks that turn it are refused."""
    safety: SafetyConfig
    cameras: list[CameraConfig]
    appearance: dict[str, str] = {}  # noqa: RUF012  (pydantic copies it)
    """How the real camera sees tasks' things, by name: "the blue cube". What is not here is not told by its looks."""
    driver: DriverConfig = DriverConfig()
    source: Path
    """The file this came from."""

    @classmethod
    def from_yaml(cls, path: str | Path, **overrides: Any) -> Self:
        """Read the robot's file.

        Raises:
            VarlError: the file is missing or a field is wrong.
        """
        return cls.from_dict(load_yaml(path) | overrides | {"source": path}, str(path))._prefixed()

    def _prefixed(self) -> Self:
        """With :attr:`prefix` before each name of a joint or link; empty names stay so."""
        names = {
            field: self.prefix + value
            for field in ("base_frame", "tool_frame", "tool_parent")
            if (value := getattr(self, field))
        }
        joints = [self.prefix + joint for joint in self.joints]
        gripper = self.gripper and self.gripper.model_copy(update={"joint": self.prefix + self.gripper.joint})
        return self.model_copy(update={**names, "joints": joints, "gripper": gripper})

    @model_validator(mode="after")
    def _one_value_a_joint(self) -> Self:
        safety = self.safety
        for name, values in (
            ("home", self.home),
            ("safety.joint_speed", safety.joint_speed),
            ("safety.joint_acceleration", safety.joint_acceleration),
            ("safety.joint_effort", safety.joint_effort),
        ):
            if values is not None and len(values) != len(self.joints):
                raise ValueError(f"{name} has {len(values)} values for {len(self.joints)} joints; give one a joint")
        return self

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        names = [*self.joints, *([self.gripper.joint] if self.gripper else [])]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the joint {twice[0]} is named twice; name each joint once")
        cameras = [camera.name for camera in self.cameras]
        if twice := sorted({name for name in cameras if cameras.count(name) > 1}):
            raise ValueError(f"the camera {twice[0]} is named twice; give each a name of its own")
        if STATE in cameras:
            raise ValueError(f"a camera cannot be called {STATE!r}, which beside pictures is the numbers; rename it")
        if self.base_frame == self.tool_frame:
            raise ValueError(f"base_frame and tool_frame are both {self.base_frame}; name the tool's own frame")
        if self.tool_frame == self.tool_parent:
            raise ValueError(
                f"tool_frame and tool_parent are both {self.tool_frame}; give the new frame a name of its own"
            )
        if self.gripper and self.gripper.command_name == self.arm_command:
            raise ValueError(f"arm and gripper are both commanded on {self.arm_command}; name the gripper's controller")
        self._one_meaning_a_topic()
        lead = self.driver.observation_lead
        if lead >= self.control_period:
            raise ValueError(
                f"driver.observation_lead of {lead:g} s is not below the control_period of {self.control_period:g} s; "
                "nothing of the action would be seen"
            )
        if self.safety.leash < self.action_scale:
            raise ValueError(
                f"safety.leash of {self.safety.leash:g} m is below the action_scale of {self.action_scale:g} m: no "
                "action would ever be carried out in full; widen the leash"
            )
        turn = self.turn
        if turn and turn.scale > min(turn.leash, turn.speed * self.control_period):
            raise ValueError(
                f"turn.scale of {turn.scale:g} rad is above turn.leash of {turn.leash:g} rad, or more than turn.speed "
                f"of {turn.speed:g} rad/s allows in a period: no action would ever be carried out in full; lower scale"
            )
        return self

    def _one_meaning_a_topic(self) -> None:
        driver, cameras = self.driver, self.cameras
        single = [("sensor_msgs/msg/JointState", driver.joint_states)]
        single += [("sensor_msgs/msg/Image", topic) for one in cameras for topic in (one.image_topic, one.depth_topic)]
        single += [("sensor_msgs/msg/CameraInfo", one.info_topic) for one in cameras]
        single += [("std_msgs/msg/Bool", one.topic) for one in (*driver.estops, driver.deadman) if one]
        single += [("geometry_msgs/msg/WrenchStamped", one.topic) for one in (driver.wrench,) if one]
        kinds = {topic: kind for kind, topic in single if topic}
        twice = sorted({topic for _, topic in single if topic and [one for _, one in single].count(topic) > 1})
        twice += sorted({one.topic for one in driver.faults if kinds.setdefault(one.topic, one.type) != one.type})
        if driver.speed_scaling and kinds.get(driver.speed_scaling.topic, _SCALING) != _SCALING:
            twice.append(driver.speed_scaling.topic)
        if twice:
            raise ValueError(f"the topic {twice[0]} is named twice, for different things; each has a topic of its own")
        read = [(fault.topic, fault.field) for fault in driver.faults]
        for topic, field in read:
            if read.count((topic, field)) > 1:
                raise ValueError(f"two faults read {field} of {topic}; put what is good of it into one")

    @property
    def arm_command(self) -> str:
        """Topic that the arm's commands go to."""
        return self.driver.arm_command or ARM_COMMANDS[self.driver.arm_interface].format(self.arm_controller)

    @property
    def period_ns(self) -> int:
        """The control period in nanoseconds."""
        return round(self.control_period * 1e9)

    def urdf_text(self) -> str:
        """The robot's URDF.

        Raises:
            VarlError: the file does not exist, or the description has yet to come by topic.
        """
        if self.urdf.startswith("<"):
            return self._with_tool(self.urdf)
        if self.urdf.startswith("topic://"):
            raise VarlError(
                f"{self.source}: the URDF comes from {self.urdf}; start the robot's driver, which publishes it"
            )
        return self._with_tool(resolve(self.urdf, self.source).read_text(encoding="utf-8"))

    def _with_tool(self, urdf: str) -> str:
        if not self.tool_parent:
            return urdf
        x, y, z = self.tool_offset
        body, end, rest = urdf.rpartition("</robot>")
        return (
            f'{body}<link name="{self.tool_frame}"/><joint name="{self.tool_frame}_joint" type="fixed">'
            f'<parent link="{self.tool_parent}"/><child link="{self.tool_frame}"/><origin xyz="{x} {y} {z}"/>'
            f"</joint>{end}{rest}"
        )
