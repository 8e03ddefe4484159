"""The node that tells where the task's things are on a real arm, as the simulator does on its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion
from pydantic import Field, PositiveFloat, model_validator
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, JointState
from varl_common.config import Config
from varl_common.errors import VarlError
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.node import declare_parameters, run_node
from varl_common.ros.qos import SENSOR_OUT

from varl_interfaces.msg import Entities
from varl_robot_env.config.names import TopicOrNone
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.perception.calibration import Calibration, joints_in_order
from varl_robot_env.perception.localiser_config import LocaliserConfig
from varl_robot_env.perception.things import ThingConfig, find_things
from varl_robot_env.ros import image_messages
from varl_robot_env.ros.camera_info import camera_model, check_size
from varl_robot_env.ros.robot_description import with_description
from varl_robot_env.types import Array

if TYPE_CHECKING:
    from varl_robot_env.ros.localised_things import LocalisedThings

_REMIND = 5.0  # seconds between two lines that say the same


class PerceptionNodeConfig(Config):
    """The node's parameters."""

    robot_file: Path = Field(description="the robot's file, absolute")
    perception_file: Path = Field(description="which things there are and what to know them by, absolute")
    calibration_file: Path = Field(description="where the camera is, as calibrate wrote it, absolute")


class PerceptionConfig(Config):
    """The perception file."""

    things: list[ThingConfig]
    depth_topic: TopicOrNone = ""
    """Depth aligned with the color picture (16UC1 mm or 32FC1 m); empty: there is none."""
    depth_lag: PositiveFloat = 0.05
    """Greatest difference in time between a picture and the depth used with it, s."""
    localiser: LocaliserConfig = LocaliserConfig()
    """Of the things that are known by ``vlm``."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        markers = [(thing.marker.dictionary, thing.marker.id) for thing in self.things if thing.marker]
        for what, given in (("name", [thing.name for thing in self.things]), ("marker", [*map(str, markers)])):
            if twice := [one for one in given if given.count(one) > 1]:
                raise ValueError(f"two things have the {what} {twice[0]}; give each one of its own")
        return self


class PerceptionNode(Node):
    """Publishes ``entities`` for every picture: the things that are seen in it, in the robot's base frame."""

    def __init__(self) -> None:
        """Raises VarlError where a file is missing or wrong."""
        super().__init__("perception")
        files = declare_parameters(self, PerceptionNodeConfig)
        self._robot = RobotConfig.from_yaml(files.robot_file)
        self._config = PerceptionConfig.from_yaml(files.perception_file)
        self._calibration = Calibration.from_yaml(files.calibration_file)
        camera = next((one for one in self._robot.cameras if one.name == self._calibration.camera), None)
        if camera is None:
            known = ", ".join(one.name for one in self._robot.cameras) or "none"
            raise VarlError(
                f"{files.calibration_file} is of camera {self._calibration.camera!r}, which {files.robot_file} does "
                f"not have (it has: {known}); calibrate one of those"
            )
        self._kinematics: Kinematics | None = None
        if self._calibration.mount == "tool":
            robot = with_description(self, self._robot)
            self._kinematics = Kinematics(robot.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame)
        self._joints: Array | None = None
        self._topic = camera.image_topic
        self._info: CameraInfo | None = None
        self._depth: Image | None = None
        self._said: dict[str, float] = {}
        self._pictures = 0
        self._seen: list[str] = []
        self._localised = self._make_localised(camera.name)
        self._publisher = self.create_publisher(Entities, "entities", SENSOR_OUT)
        quality = qos_profile_sensor_data
        self.create_subscription(Image, camera.image_topic, self._on_image, quality)
        self.create_subscription(CameraInfo, camera.info_topic, self._on_info, quality)
        self.create_subscription(JointState, self._robot.driver.joint_states, self._on_joints, quality)
        if self._config.depth_topic:
            self.create_subscription(Image, self._config.depth_topic, self._on_depth, quality)
        Diagnostics(self, "things", self._health, camera.name)

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def _on_depth(self, message: Image) -> None:
        self._depth = message

    def _on_joints(self, message: JointState) -> None:
        joints = joints_in_order(message.name, message.position, self._robot.joints)
        self._joints = joints if joints is not None else self._joints

    def _on_image(self, message: Image) -> None:
        camera = self._camera()
        if self._info is None or camera is None:
            return self._say("no camera_info yet; pictures wait" if camera is not None else "no joint states yet")
        try:
            rgb = image_messages.color_pixels(message)
            depth = self._depth_of(message)
            lens = camera_model(self._info, self._topic)
            check_size(lens, message.width, message.height, self._topic)
        except VarlError as error:
            return self._say(str(error))
        found = find_things(self._config.things, rgb, depth, lens, camera)
        sure = dict.fromkeys(found, 1.0)
        if self._localised is not None:
            pointed, confidence = self._localised.find(rgb, depth, lens, camera)
            found, sure = found | pointed, sure | confidence
        entities = Entities(names=list(found), confidence=[sure[name] for name in found])
        entities.header.stamp, entities.header.frame_id = message.header.stamp, self._robot.base_frame
        for pose in found.values():
            x, y, z, *turn = (float(value) for value in pose)
            entities.poses.append(
                Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(**dict(zip("xyzw", turn, strict=True))))
            )
        self._publisher.publish(entities)
        self._pictures, self._seen = self._pictures + 1, list(found)
        for thing in self._config.things:
            if thing.name not in found:
                self._say(f"{thing.name} is not in sight; check light, focus and its settings in the perception file")

    def _make_localised(self, camera: str) -> LocalisedThings | None:
        things = {thing.name: thing.vlm for thing in self._config.things if thing.vlm is not None}
        if not things:
            return None
        from varl_robot_env.ros.localised_things import LocalisedThings  # it takes PyTorch seconds to load

        return LocalisedThings(self, things, self._config.localiser, camera)

    def destroy_node(self) -> None:
        """End the localiser's thread, too."""
        if self._localised is not None:
            self._localised.close()
        super().destroy_node()

    def _health(self) -> Health:
        unseen = [thing.name for thing in self._config.things if thing.name not in self._seen]
        warning = f"not in sight: {', '.join(unseen)}" if self._pictures else "no picture yet"
        localiser = {"localiser": self._localised.status} if self._localised is not None else {}
        return Health("all in sight", warning if unseen else "", values={"pictures": self._pictures, **localiser})

    def _camera(self) -> Array | None:
        """(4, 4) the optical frame in the base frame, or None before the arm's joints are known."""
        if self._kinematics is None:
            return self._calibration.matrix()
        if self._joints is None:
            return None
        tool = np.eye(4)
        tool[:3, 3], tool[:3, :3] = self._kinematics.forward(self._joints)
        return np.asarray(tool @ self._calibration.matrix())

    def _depth_of(self, image: Image) -> np.ndarray | None:
        if self._depth is None or (self._depth.width, self._depth.height) != (image.width, image.height):
            return None
        lag = abs(_seconds(self._depth) - _seconds(image))
        return image_messages.depth_metres(self._depth) if lag <= self._config.depth_lag else None

    def _say(self, line: str) -> None:
        now = time.monotonic()
        if now - self._said.get(line, -np.inf) >= _REMIND:
            self._said[line] = now
            self.get_logger().warning(line)


def _seconds(message: Image) -> float:
    return float(message.header.stamp.sec + message.header.stamp.nanosec * 1e-9)


def main() -> None:
    """Entry point of the ``perception`` executable."""
    run_node(PerceptionNode)
