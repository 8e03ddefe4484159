"""The node ``viewer``: shows a run in Rerun, in a window, in a browser or as a file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pydantic import Field
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState
from varl_common.config import Config
from varl_common.errors import VarlError
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.messages import to_ns
from varl_common.ros.node import declare_parameters, run_node
from varl_common.ros.qos import LATCHED

from varl_interfaces.msg import Advised, EnvStatus, TrainingStatus
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.ros.image_messages import color_pixels
from varl_robot_env.ros.rerun_scene import RerunScene
from varl_robot_env.ros.robot_description import with_description
from varl_robot_env.ros.rviz_markers import Markers


class ViewerParameters(Config):
    """Parameters of the node."""

    robot_file: Path = Field(description="the robot's file, absolute")
    sink: str = Field("window", description="window, web (served to a browser), or an .rrd file to write")
    picture_rate: float = Field(5.0, gt=0, description="pictures of each camera a second that are kept, Hz")


class ViewerNode(Node):
    """Listens to what the graph publishes, and shows it by the time of the robot."""

    def __init__(self) -> None:
        """Raises VarlError where a parameter or the robot's file is wrong, or rerun-sdk is missing."""
        super().__init__("viewer")
        parameters = declare_parameters(self, ViewerParameters)
        robot = with_description(self, RobotConfig.from_yaml(parameters.robot_file))
        self._scene, self._markers = RerunScene(robot, parameters.sink), Markers(robot)
        self._apart = 1.0 / parameters.picture_rate
        self._training: TrainingStatus | None = None
        self._advice: Advised | None = None
        self._now, self._shown = 0.0, {camera.name: -1.0 for camera in robot.cameras}
        self._heard = 0
        try:
            self._scene.add_arm()
        except VarlError as error:
            self.get_logger().warning(str(error))
        self.create_subscription(EnvStatus, "env/status", self._on_env, LATCHED)
        self.create_subscription(TrainingStatus, "learner/status", self._on_training, LATCHED)
        self.create_subscription(Advised, "learner/advice", self._on_advice, LATCHED)
        self.create_subscription(JointState, robot.driver.joint_states, self._on_joints, qos_profile_sensor_data)
        for camera in robot.cameras:
            hear = partial(self._on_picture, camera.name)
            self.create_subscription(Image, camera.image_topic, hear, qos_profile_sensor_data)
        Diagnostics(self, "view", lambda: Health("shows", values={"statuses": self._heard}), parameters.sink)
        if self._scene.address:
            self.get_logger().info(f"look at {self._scene.address}")

    def destroy_node(self) -> None:
        super().destroy_node()
        self._scene.close()

    def _on_env(self, message: EnvStatus) -> None:
        self._heard += 1
        self._scene.status(self._now, message)
        if message.header.frame_id:  # of a step, and not of a stop between two
            self._scene.markers(self._now, self._markers.draw(message, self._training, self._advice))

    def _on_training(self, message: TrainingStatus) -> None:
        self._training = message
        self._scene.curves(self._now, message)

    def _on_advice(self, message: Advised) -> None:
        self._advice = message

    def _on_joints(self, message: JointState) -> None:
        self._now = to_ns(message.header.stamp) / 1e9
        self._scene.joints(self._now, dict(zip(message.name, message.position, strict=False)))

    def _on_picture(self, camera: str, message: Image) -> None:
        if self._now - self._shown[camera] < self._apart:
            return
        try:
            pixels = color_pixels(message)
        except VarlError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        self._shown[camera] = self._now
        self._scene.picture(self._now, camera, pixels)


def main() -> None:
    """Entry point of the ``viewer`` executable."""
    run_node(ViewerNode)
