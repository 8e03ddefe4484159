"""The node of a RealSense camera, with realsense2_camera's topic names; for machines without that driver."""

from __future__ import annotations

from typing import Any

import rclpy
from numpy.typing import NDArray
from pydantic import Field
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.node import declare_parameters, run_node

from varl_robot_env.perception.realsense import RealSense, RealSenseConfig, RgbdFrame
from varl_robot_env.ros.camera_info import camera_info
from varl_robot_env.ros.image_messages import to_image

_POLL = 0.1  # seconds: how long a poll may keep timers waiting


class RealSenseNodeConfig(RealSenseConfig):
    """The node's parameters."""

    camera: str = Field(default="camera/camera", description="prefix of the topics: <camera>/color/image_raw")
    frame_id: str = Field(default="camera_color_optical_frame", description="frame of all pictures (REP 103 optical)")


class RealSenseNode(Node):
    """Publishes color, aligned depth and their camera_info, and says on /diagnostics what is missing."""

    def __init__(self) -> None:
        """Raises VarlError for wrong parameters or a missing library; a missing camera is waited for."""
        super().__init__("realsense")
        config = declare_parameters(self, RealSenseNodeConfig)
        self.camera = RealSense(config)
        self._frame_id = config.frame_id
        self._streams = {
            stream: (
                self.create_publisher(Image, f"{config.camera}/{stream}/image_raw", qos_profile_sensor_data),
                self.create_publisher(CameraInfo, f"{config.camera}/{stream}/camera_info", qos_profile_sensor_data),
            )
            for stream in ("color", "aligned_depth_to_color")
        }
        self._error = ""
        Diagnostics(self, "camera", self._health, config.serial)

    def step(self) -> None:
        """Publish the next frame, where one comes soon; log what changed."""
        frame = self.camera.poll(_POLL)
        if frame is not None:
            self._publish(frame)
        error = self.camera.health.error
        if error != self._error:
            self._error = error
            self.get_logger().error(error) if error else self.get_logger().info("frames are coming")

    def _publish(self, frame: RgbdFrame) -> None:
        # The stamp is the time of arrival: the device's own clock is not the system's.
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._frame_id)
        info = camera_info(frame.lens, header)
        pictures: dict[str, tuple[NDArray[Any], str]] = {
            "color": (frame.color, "rgb8"),
            "aligned_depth_to_color": (frame.depth, "16UC1"),
        }
        for stream, (image, info_publisher) in self._streams.items():
            pixels, encoding = pictures[stream]
            image.publish(to_image(pixels, encoding, header))
            info_publisher.publish(info)

    def _health(self) -> Health:
        health = self.camera.health
        figures = {name: getattr(health, name) for name in ("frames", "drops", "reconnects")}
        return Health("streaming", problem=health.error, values=figures)


def main() -> None:
    """Entry point of the ``realsense`` executable."""
    run_node(RealSenseNode, _spin)


def _spin(node: Node) -> None:
    assert isinstance(node, RealSenseNode)
    try:
        while rclpy.ok():
            rclpy.spin_once(node, timeout_sec=0.0)
            node.step()
    finally:
        node.camera.close()
