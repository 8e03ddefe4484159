"""A simulated camera's topics: what a real one's driver publishes."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from varl_common.ros.messages import to_time
from varl_common.ros.qos import SENSOR_OUT

from varl_robot_env.config.robot import CameraConfig
from varl_robot_env.perception.camera_model import CameraModel
from varl_robot_env.ros.camera_info import camera_info
from varl_robot_env.ros.image_messages import to_image
from varl_robot_env.simulation.camera import Camera


class CameraTopics:
    """Publishes pictures of ``camera`` on the topics of ``config``."""

    def __init__(self, node: Node, config: CameraConfig, camera: Camera) -> None:
        self.config, self.camera = config, camera
        self._node, self._frame_id = node, f"{config.name}_color_optical_frame"
        self._image_out = node.create_publisher(Image, config.image_topic, SENSOR_OUT)
        self._info_out = node.create_publisher(CameraInfo, config.info_topic, SENSOR_OUT)
        self._depth_out = node.create_publisher(Image, config.depth_topic, SENSOR_OUT) if config.depth_topic else None
        self._warned = False

    @property
    def watched(self) -> bool:
        """Whether somebody hears of its pictures."""
        return bool(self._image_out.get_subscription_count())

    @property
    def depth_watched(self) -> bool:
        """Whether somebody hears of its depth."""
        return self._depth_out is not None and bool(self._depth_out.get_subscription_count())

    def publish(self, stamp: int, data: Any, depth: bool) -> None:
        """Render the state ``data`` (mujoco.MjData) of ``stamp``, ns, and publish it, with ``depth`` if it has any."""
        image = self.camera.render(data)
        if image is None:
            if not self._warned:
                self._node.get_logger().warning(str(self.camera.error))
                self._warned = True
            return
        message = to_image(image, "rgb8", Header(stamp=to_time(stamp), frame_id=self._frame_id))
        model = CameraModel(message.width, message.height, self.camera.k)
        self._info_out.publish(camera_info(model, message.header))
        self._image_out.publish(message)
        if self._depth_out is not None and depth:
            millimetres = self.camera.render_depth(data)
            if millimetres is not None:
                self._depth_out.publish(to_image(millimetres, "16UC1", message.header))
