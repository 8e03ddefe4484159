"""A stand-in for a camera driver: realsense2_camera's topics, a drawn marker for a scene, and faults on demand."""

from __future__ import annotations

from collections import deque

import numpy as np
from pydantic import Field
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from varl_common.config import Config
from varl_common.errors import did_you_mean
from varl_common.ros.node import declare_parameters, run_node

from varl_robot_env.perception.camera_model import CameraModel
from varl_robot_env.perception.markers import MarkerConfig
from varl_robot_env.ros.camera_info import camera_info
from varl_robot_env.ros.image_messages import to_image
from varl_robot_env.standin.faults import CameraFault
from varl_robot_env.standin.scene import draw_marker

_LAG = 0.5  # s
_MARKER = MarkerConfig(id=0, size=0.08)


class StandinCameraConfig(Config):
    """The node's parameters."""

    camera: str = Field(default="camera/camera", description="prefix of the topics: <camera>/color/image_raw")
    width: int = Field(default=320, gt=0, description="pixels")
    height: int = Field(default=240, gt=0, description="pixels")
    rate: float = Field(default=15.0, gt=0, description="pictures a second, Hz")


class StandinCamera(Node):
    """Color and camera_info of a marker 0.5 m ahead, with a bar that moves from picture to picture."""

    def __init__(self) -> None:
        """Raises VarlError where a parameter is wrong."""
        super().__init__("standin_camera")
        config = declare_parameters(self, StandinCameraConfig)
        k = np.array([[config.width, 0, config.width / 2], [0, config.width, config.height / 2], [0, 0, 1.0]])
        self._lens = lens = CameraModel(config.width, config.height, k)
        ahead = np.diag([1.0, -1.0, -1.0, 1.0])  # faces the camera
        ahead[2, 3] = 0.5
        self._scene = draw_marker(_MARKER, ahead, lens)
        self._fault, self._count = CameraFault.NONE, 0
        self._held: deque[tuple[Header, Image]] = deque()
        self._delay = max(1, round(_LAG * config.rate))
        self._images = self.create_publisher(Image, f"{config.camera}/color/image_raw", qos_profile_sensor_data)
        self._infos = self.create_publisher(CameraInfo, f"{config.camera}/color/camera_info", qos_profile_sensor_data)
        self.declare_parameter("fault", CameraFault.NONE.value)
        self.add_on_set_parameters_callback(self._on_parameters)
        self.create_timer(1.0 / config.rate, self._tick)
        self.get_logger().info(f"draws a marker on {self._images.topic_name}, {config.rate:g} pictures a second")

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == "fault":
                names = [fault.value for fault in CameraFault]
                if parameter.value not in names:
                    return SetParametersResult(successful=False, reason=did_you_mean(str(parameter.value), names))
                self._fault = CameraFault(parameter.value)
                self._held.clear()
        return SetParametersResult(successful=True)

    def _tick(self) -> None:
        fault = self._fault
        if fault is not CameraFault.FREEZE:
            self._count += 1
        if fault is CameraFault.SILENT or (fault is CameraFault.DROP and self._count % 2):
            return
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id="camera_color_optical_frame")
        picture = self._scene.copy()
        column = self._count * 4 % picture.shape[1]
        picture[:8, column : column + 8] = (200, 60, 40)
        self._held.append((header, to_image(picture, "rgb8", header)))
        if fault is CameraFault.LAG and len(self._held) <= self._delay:
            return
        header, image = self._held.popleft()
        self._images.publish(image)
        self._infos.publish(camera_info(self._lens, header))


def main() -> None:
    """Entry point of the ``standin_camera`` executable."""
    run_node(StandinCamera)
