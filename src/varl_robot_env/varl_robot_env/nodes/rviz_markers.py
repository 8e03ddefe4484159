"""The node that draws a run for RViz."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from rclpy.node import Node
from varl_common.config import Config
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.node import declare_parameters, run_node
from varl_common.ros.qos import LATCHED, SENSOR_OUT
from visualization_msgs.msg import MarkerArray

from varl_interfaces.msg import Advised, EnvStatus, TrainingStatus
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.ros.rviz_markers import Markers


class MarkersConfig(Config):
    """The node's parameters."""

    robot_file: Path = Field(description="the robot's file, absolute")
    rate: float = Field(default=10.0, gt=0, description="pictures a second, Hz: what the eye needs")


class MarkersNode(Node):
    """Publishes ``markers`` (visualization_msgs/MarkerArray) from the statuses of env and learner, and the advice."""

    def __init__(self) -> None:
        """Raises VarlError where a parameter or the robot's file is wrong."""
        super().__init__("markers")
        config = declare_parameters(self, MarkersConfig)
        self._markers = Markers(RobotConfig.from_yaml(config.robot_file))
        self._env: EnvStatus | None = None
        self._training: TrainingStatus | None = None
        self._advice: Advised | None = None
        self._publisher = self.create_publisher(MarkerArray, "markers", SENSOR_OUT)
        self.create_subscription(EnvStatus, "env/status", self._on_env, LATCHED)
        self.create_subscription(TrainingStatus, "learner/status", self._on_training, LATCHED)
        self.create_subscription(Advised, "learner/advice", self._on_advice, LATCHED)
        self._pictures = 0
        self.create_timer(1.0 / config.rate, self._draw)
        Diagnostics(self, "pictures", self._health)
        status = self.resolve_topic_name("env/status")
        self.get_logger().info(f"draws on {self._publisher.topic_name} what {status} says, as soon as it does")

    def _on_env(self, message: EnvStatus) -> None:
        self._env = message

    def _on_training(self, message: TrainingStatus) -> None:
        self._training = message

    def _on_advice(self, message: Advised) -> None:
        self._advice = message

    def _draw(self) -> None:
        if self._env is not None:
            self._publisher.publish(self._markers.draw(self._env, self._training, self._advice))
            self._env = None  # a status is drawn once
            self._pictures += 1

    def _health(self) -> Health:
        return Health("draws", "" if self._pictures else "no status of an env yet", values={"pictures": self._pictures})


def main() -> None:
    """Entry point of the ``markers`` executable."""
    run_node(MarkersNode)
