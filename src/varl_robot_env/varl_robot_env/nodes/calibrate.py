"""The hand-eye calibration command: a person moves the arm, the node takes samples and writes the camera's place.

It commands no motion. Bring the arm to a pose (by hand or teleoperation), let it rest, call ``~/sample``; after 10 to
15 poses that tilt the tool about different axes, call ``~/solve``.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

import cv2
import numpy as np
from pydantic import Field
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_srvs.srv import Trigger
from varl_common.config import Config
from varl_common.errors import VarlError
from varl_common.ros.diagnostics import Diagnostics, Health
from varl_common.ros.node import declare_parameters, run_node

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.perception.calibration import Calibration, joints_in_order
from varl_robot_env.perception.hand_eye import MIN_SAMPLES, Mount, calibrate
from varl_robot_env.perception.markers import MarkerConfig, find_marker
from varl_robot_env.ros import image_messages
from varl_robot_env.ros.camera_info import camera_model, check_size
from varl_robot_env.ros.robot_description import with_description
from varl_robot_env.types import Array

_STILL = 0.002  # rad: an arm that moved more than this is not at rest


class CalibrateConfig(Config):
    """The node's parameters."""

    robot_file: Path = Field(description="the robot's file, absolute")
    calibration_file: Path = Field(description="the file to write, absolute: calibrations/<camera>.yaml")
    camera: str = Field(default="", description="name of the camera in the robot's file; empty: its first")
    mount: Mount = Field(description="what the camera is fixed to: 'tool' or 'base' (the tool then holds the marker)")
    dictionary: str = Field(default="apriltag_36h11", description="family of the marker")
    marker_id: int = Field(default=0, ge=0, description="number of the marker")
    marker_size: float = Field(gt=0, description="edge of the marker's black square as measured on the print, m")
    rest: float = Field(default=0.5, gt=0, description="time that the arm must have stood still before a sample, s")


class CalibrateNode(Node):
    """Pairs of tool pose and marker pose, and the answer they give."""

    def __init__(self) -> None:
        """Raises VarlError where a parameter or file is wrong."""
        super().__init__("calibrate")
        self._config = config = declare_parameters(self, CalibrateConfig)
        self._marker = MarkerConfig.from_dict(
            {"dictionary": config.dictionary, "id": config.marker_id, "size": config.marker_size}, "calibrate"
        )
        robot = with_description(self, RobotConfig.from_yaml(config.robot_file))
        camera = next((one for one in robot.cameras if one.name == config.camera or not config.camera), None)
        if camera is None:
            known = ", ".join(one.name for one in robot.cameras) or "none"
            raise VarlError(f"{config.robot_file} has no camera {config.camera!r}; it has: {known}")
        self._camera, self._robot = camera, robot
        self._kinematics = Kinematics(robot.urdf_text(), robot.joints, robot.base_frame, robot.tool_frame)
        self._tools: list[Array] = []
        self._targets: list[Array] = []
        self._recent: deque[tuple[float, Array]] = deque()  # monotonic time, joints
        self._image: Image | None = None
        self._info: CameraInfo | None = None
        quality = qos_profile_sensor_data
        self.create_subscription(JointState, robot.driver.joint_states, self._on_joints, quality)
        self.create_subscription(Image, camera.image_topic, self._on_image, quality)
        self.create_subscription(CameraInfo, camera.info_topic, self._on_info, quality)
        Diagnostics(self, "samples", lambda: Health(f"{len(self._tools)} samples taken"), camera.name)
        self.create_service(Trigger, "~/sample", self._sample)
        self.create_service(Trigger, "~/solve", self._solve)
        self.get_logger().info("bring the arm to a pose and call ~/sample; after 10 to 15 of them call ~/solve")

    def _on_joints(self, message: JointState) -> None:
        joints = joints_in_order(message.name, message.position, self._robot.joints)
        if joints is not None:
            now = time.monotonic()
            self._recent.append((now, joints))
            while now - self._recent[0][0] > self._config.rest:
                self._recent.popleft()

    def _on_image(self, message: Image) -> None:
        self._image = message

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def _sample(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            self._take()
        except VarlError as error:
            response.message = str(error)
            return response
        response.success = True
        response.message = f"sample {len(self._tools)} taken"
        if len(self._tools) >= MIN_SAMPLES:
            try:
                result = calibrate(self._tools, self._targets, self._config.mount)
                response.message += f"; residual so far {result.residual_mm:.1f} mm, {result.residual_deg:.2f} degrees"
            except VarlError as error:
                response.message += f"; {error}"
        return response

    def _take(self) -> None:
        if self._image is None or self._info is None or not self._recent:
            missing = "pictures" if self._image is None else "camera_info" if self._info is None else "joint states"
            raise VarlError(f"no {missing} yet; check that the driver publishes them")
        if np.ptp([joints for _, joints in self._recent], axis=0).max() > _STILL:
            raise VarlError("the arm is moving; let it rest for a second, then sample again")
        gray = np.asarray(cv2.cvtColor(image_messages.color_pixels(self._image), cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        lens = camera_model(self._info, self._camera.image_topic)
        check_size(lens, self._image.width, self._image.height, self._camera.image_topic)
        target = find_marker(gray, lens, self._marker)
        if target is None:
            raise VarlError(
                f"marker {self._marker.id} of {self._marker.dictionary} is not in sight, or may as well be tilted the "
                "other way; bring it into the picture, flat and well lit, and let the camera look at it from aside"
            )
        tool = np.eye(4)
        tool[:3, 3], tool[:3, :3] = self._kinematics.forward(self._recent[-1][1])
        self._tools.append(tool)
        self._targets.append(target)
        self._image = None  # the next sample needs a new picture

    def _solve(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        config = self._config
        try:
            result = calibrate(self._tools, self._targets, config.mount)
            Calibration.of(self._camera.name, config.mount, len(self._tools), result).save(config.calibration_file)
        except VarlError as error:
            response.message = str(error)
            return response
        response.success = True
        response.message = (
            f"{config.calibration_file} written; residual {result.residual_mm:.2f} mm, {result.residual_deg:.2f} "
            f"degrees over {len(self._tools)} samples; the worst is number {result.worst + 1}, {result.worst_mm:.1f} mm"
        )
        return response


def main() -> None:
    """Entry point of the ``calibrate`` executable."""
    run_node(CalibrateNode)
