"""The node that tells TF where the calibrated cameras are."""

from __future__ import annotations

import importlib
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from pydantic import Field
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo
from varl_common.config import Config
from varl_common.errors import VarlError
from varl_common.poses import matrix_to_pose, pose_to_matrix
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.node import declare_parameters, run_node

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.perception.calibration import Calibration
from varl_robot_env.types import Array

# s for a camera's driver to tell of its tree, beside its camera_info: a frame that was given another parent meanwhile
# has two to whoever listened.
_PATIENCE = 2.0
_LOOK = 0.25  # s
_TREE = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)  # as tf2's own listener has it


class CameraFramesConfig(Config):
    """The node's parameters."""

    robot_file: Path = Field(description="the robot's file, absolute")


class CameraFrames(Node):
    """Publishes on ``/tf_static`` where each calibrated camera's optical frame is, in the arm's base or on its tool.

    A frame has one parent on TF, and the optical frame may have one already: most drivers publish a tree from
    ``camera_link`` on. Then that tree's root is placed so that the optical frame comes to where it was measured. Where
    the robot's file fixes the tool to a link, that is published, too.
    """

    def __init__(self) -> None:
        """Raises VarlError where a file is missing or wrong, no camera is calibrated, or tf2_msgs is not installed."""
        super().__init__("camera_frames")
        config = declare_parameters(self, CameraFramesConfig)
        robot = self._robot = RobotConfig.from_yaml(config.robot_file)
        cameras = [camera for camera in robot.cameras if camera.calibration]
        if not cameras:
            raise VarlError(f"{config.robot_file}: no camera has a calibration; write what calibrate made into it")
        try:
            self._kind: Any = importlib.import_module("tf2_msgs.msg").TFMessage
        except ImportError:
            raise VarlError("tf2_msgs is not installed; apt install ros-$ROS_DISTRO-tf2-msgs") from None
        self._calibrations = {
            camera.name: Calibration.from_yaml(robot.source.parent / camera.calibration) for camera in cameras
        }
        self._frames: dict[str, str] = {}  # optical frame by camera
        self._since: dict[str, float] = {}  # s, monotonic, of the first camera_info
        self._tree: dict[str, tuple[str, Array]] = {}  # of others: parent and place in it (4, 4), by child
        self._placed: dict[str, tuple[str, Array]] = {}
        self._publisher = self.create_publisher(self._kind, "/tf_static", _TREE)
        self.create_subscription(self._kind, "/tf_static", self._on_tree, _TREE)
        for camera in cameras:
            told = partial(self._on_info, camera.name)
            self.create_subscription(CameraInfo, camera.info_topic, told, qos_profile_sensor_data)
        Diagnostics(self, "frames", self._health, robot.name)
        self.create_timer(_LOOK, self._place, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _health(self) -> Health:
        waiting = [camera for camera in self._calibrations if camera not in self._frames]
        warning = f"no camera_info of {', '.join(waiting)} yet" if waiting else ""
        return Health("published", warning, values={frame: place[0] for frame, place in self._placed.items()})

    def _on_info(self, camera: str, message: CameraInfo) -> None:
        self._since.setdefault(camera, time.monotonic())
        self._frames[camera] = message.header.frame_id

    def _on_tree(self, message: Any) -> None:
        others = [one for one in message.transforms if one.child_frame_id not in self._placed]
        self._tree |= {one.child_frame_id: (one.header.frame_id, _matrix(one)) for one in others}

    def _place(self) -> None:
        """Publish what has changed."""
        robot, placed = self._robot, {}
        if robot.tool_parent:
            tool = np.eye(4)
            tool[:3, 3] = robot.tool_offset
            placed[robot.tool_frame] = robot.tool_parent, tool
        for camera, optical in self._frames.items():
            if optical not in self._tree and time.monotonic() - self._since[camera] < _PATIENCE:
                continue
            found = self._calibrations[camera]
            parent = robot.tool_frame if found.mount == "tool" else robot.base_frame
            root, inside = self._root_of(optical)
            if root in (parent, robot.base_frame, robot.tool_frame):
                self.get_logger().warning(
                    f"somebody else has {optical} below {root} on TF; where {camera} was calibrated is not told",
                    once=True,
                )
            else:
                placed[root] = parent, found.matrix() @ np.linalg.inv(inside)
        if not _same(placed, self._placed):
            self._placed = placed
            stamp = self.get_clock().now().to_msg()
            self._publisher.publish(self._kind(transforms=[_transform(stamp, *one) for one in placed.items()]))

    def _root_of(self, frame: str) -> tuple[str, Array]:
        """The frame at the top of the tree that ``frame`` is in, as others publish it, and where ``frame`` is in it."""
        inside, seen = np.eye(4), {frame}
        while frame in self._tree and self._tree[frame][0] not in seen:
            frame, place = self._tree[frame]
            inside = place @ inside
            seen.add(frame)
        return frame, inside


def _same(one: dict[str, tuple[str, Array]], other: dict[str, tuple[str, Array]]) -> bool:
    return one.keys() == other.keys() and all(
        place[0] == other[frame][0] and np.allclose(place[1], other[frame][1]) for frame, place in one.items()
    )


def _transform(stamp: Any, child: str, place: tuple[str, Array]) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.stamp, message.header.frame_id = stamp, place[0]
    shift, turn = message.transform.translation, message.transform.rotation
    shift.x, shift.y, shift.z, turn.x, turn.y, turn.z, turn.w = matrix_to_pose(place[1]).tolist()
    return message


def _matrix(message: TransformStamped) -> Array:
    shift, turn = message.transform.translation, message.transform.rotation
    return pose_to_matrix(np.array([shift.x, shift.y, shift.z, turn.x, turn.y, turn.z, turn.w]))


def main() -> None:
    """Entry point of the ``camera_frames`` executable."""
    run_node(CameraFrames)
