"""From an uncalibrated camera to entities: calibrate over the services, then perceive with the file that wrote."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
import yaml
from rclpy.node import Node
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from varl_common.poses import matrix_to_pose, pose_to_matrix
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.nodes.calibrate import CalibrateNode
from varl_robot_env.nodes.perception import PerceptionNode
from varl_robot_env.perception.calibration import Calibration
from varl_robot_env.perception.camera_model import CameraModel
from varl_robot_env.perception.markers import MarkerConfig
from varl_robot_env.ros.camera_info import camera_info
from varl_robot_env.ros.image_messages import to_image
from varl_robot_env.standin.scene import draw_marker
from varl_robot_env.types import Array

from varl_interfaces.msg import Entities

ROBOT = config_file("robots", "varl_arm")
K = np.array([[600.0, 0.0, 320.0], [0.0, 600.0, 240.0], [0.0, 0.0, 1.0]])
MARKER = MarkerConfig(id=3, size=0.08)
CAMERA = pose_to_matrix(np.array([-0.02, 0.03, -0.25, *Rotation.from_euler("z", 0.1).as_quat()]))  # on the tool
TARGET = pose_to_matrix(np.array([0.42, 0.03, 0.0, *Rotation.from_euler("zx", [0.4, 0.5]).as_quat()]))  # on a slope


class World:
    """An arm at rest with a camera on its tool, above a marker: what the drivers would publish."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("world")
        self.robot = RobotConfig.from_yaml(ROBOT)
        self.kinematics = Kinematics(
            self.robot.urdf_text(), self.robot.joints, self.robot.base_frame, self.robot.tool_frame
        )
        self.joints = np.array(self.robot.home)
        camera = self.robot.cameras[0]
        self._states = self.node.create_publisher(JointState, "joint_states", 10)
        self._images = self.node.create_publisher(Image, camera.image_topic, 10)
        self._infos = self.node.create_publisher(CameraInfo, camera.info_topic, 10)

    def tool(self) -> Array:
        tool = np.eye(4)
        tool[:3, 3], tool[:3, :3] = self.kinematics.forward(self.joints)
        return tool

    def publish_joints(self) -> None:
        # Drivers order joints as they like, and mix in others.
        names, positions = ["finger", *self.robot.joints[::-1]], [0.0, *self.joints[::-1].tolist()]
        self._states.publish(JointState(name=names, position=positions))

    def publish(self) -> None:
        self.publish_joints()
        header = Header(stamp=self.node.get_clock().now().to_msg(), frame_id="camera_color_optical_frame")
        marker = np.linalg.inv(self.tool() @ CAMERA) @ TARGET
        self._infos.publish(CameraInfo(header=header, width=640, height=480, k=K.ravel(), d=[0.0] * 5))
        self._images.publish(to_image(draw_marker(MARKER, marker, CameraModel(640, 480, K)), "rgb8", header))


@pytest.fixture
def start(domain: int) -> Iterator[Callable[..., Node]]:
    nodes: list[Node] = []

    def make(kind: Callable[[], Node], **parameters: Any) -> Node:
        rclpy.try_shutdown()
        rclpy.init(
            args=["--ros-args", *(part for item in parameters.items() for part in ("-p", "{}:={}".format(*item)))]
        )
        nodes.append(kind())
        return nodes[-1]

    yield make
    rclpy.try_shutdown()


def spin(*nodes: Node, until: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not until() and time.monotonic() < deadline:
        for node in nodes:
            rclpy.spin_once(node, timeout_sec=0.002)


def call(service: str, world: World, node: Node) -> Trigger.Response:
    client = world.node.create_client(Trigger, service)
    assert client.wait_for_service(5.0)
    future = client.call_async(Trigger.Request())
    spin(world.node, node, until=future.done)
    return future.result()


def test_calibrate_then_perceive(start: Callable[..., Node], tmp_path: Path) -> None:
    found = tmp_path / "calibrations" / "camera.yaml"
    marker = {"marker_id": MARKER.id, "marker_size": MARKER.size, "rest": 0.1}
    node = start(CalibrateNode, robot_file=ROBOT, calibration_file=found, mount="tool", **marker)
    world, rng = World(), np.random.default_rng(0)
    assert "no pictures yet" in call("calibrate/sample", world, node).message
    assert "take at least" in call("calibrate/solve", world, node).message
    for number in range(10):
        world.joints = np.array(world.robot.home) + rng.uniform(-1, 1, 6) * [0.05, 0.05, 0.05, 0.2, 0.2, 0.4]
        for _ in range(10):
            world.publish_joints()
            spin(world.node, node, until=lambda: False, seconds=0.02)
        world.publish()
        spin(world.node, node, until=lambda: node._image is not None)  # type: ignore[attr-defined]
        answer = call("calibrate/sample", world, node)
        assert answer.success, f"{number}: {answer.message}"
    answer = call("calibrate/solve", world, node)
    assert answer.success, answer.message
    assert "residual" in answer.message
    calibration = Calibration.from_yaml(found)
    assert calibration.residual_mm < 2
    assert 1000 * np.linalg.norm(calibration.matrix()[:3, 3] - CAMERA[:3, 3]) < 3

    things = tmp_path / "perception.yaml"
    things.write_text(yaml.safe_dump({"things": [{"name": "block", "marker": {"id": MARKER.id, "size": MARKER.size}}]}))
    node = start(PerceptionNode, robot_file=ROBOT, perception_file=things, calibration_file=found)
    world = World()
    got: list[Entities] = []
    world.node.create_subscription(Entities, "entities", got.append, 10)
    deadline = time.monotonic() + 60
    while not got and time.monotonic() < deadline:
        world.publish()
        spin(world.node, node, until=lambda: got, seconds=0.2)
    assert got[0].names == ["block"]
    assert got[0].header.frame_id == "base_link"
    position = got[0].poses[0].position
    assert 1000 * np.linalg.norm([position.x, position.y, position.z] - TARGET[:3, 3]) < 5


def test_an_arm_that_moves_is_not_sampled(start: Callable[..., Node], tmp_path: Path) -> None:
    node = start(CalibrateNode, robot_file=ROBOT, calibration_file=tmp_path / "a.yaml", mount="base", marker_size=0.05)
    world = World()
    deadline = time.monotonic() + 60
    while not (node._image and len(node._recent) > 3) and time.monotonic() < deadline:  # type: ignore[attr-defined]
        world.joints = world.joints + 0.01
        world.publish()
        spin(world.node, node, until=lambda: False, seconds=0.02)
    assert "let it rest" in call("calibrate/sample", world, node).message


def test_broken_pictures_and_calibrations_end_no_node(
    start: Callable[..., Node], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    things, calibration = tmp_path / "perception.yaml", tmp_path / "camera.yaml"
    things.write_text(yaml.safe_dump({"things": [{"name": "block", "marker": {"id": MARKER.id, "size": MARKER.size}}]}))
    pose = matrix_to_pose(CAMERA).tolist()
    camera = Calibration(camera="camera", mount="base", pose=pose, residual_mm=1.0, residual_deg=0.1, samples=10)
    camera.save(calibration)
    node = start(PerceptionNode, robot_file=ROBOT, perception_file=things, calibration_file=calibration)
    straight = camera_info(CameraModel(64, 48, K), Header())
    grey = to_image(np.full((48, 64, 3), 128, np.uint8), "rgb8", Header())
    cases = [
        (straight, Image(encoding="rgb8"), "0x0 pixels"),
        (CameraInfo(k=K.ravel(), d=[-5.0] * 8, distortion_model="rational_polynomial"), grey, "cannot be straightened"),
        (CameraInfo(k=2 * K.ravel(), distortion_model="plumb_bob"), grey, "no matrix of a camera"),
        (CameraInfo(), grey, "is uncalibrated"),
        (camera_info(CameraModel(640, 480, K), Header()), grey, "64x48 pixels, but its camera_info is of 640x480"),
        (CameraInfo(k=K.ravel(), d=[0.1] * 3, distortion_model="plumb_bob"), grey, "takes 4 or 5 finite coefficients"),
        (straight, Image(encoding="rgb8", width=64, height=48, step=192, data=[0] * 5), "check the camera's driver"),
        (straight, Image(encoding="rgb8", width=64, height=48, step=191, data=[0] * 9168), "a step of 191"),
        (
            straight,
            Image(encoding="yuv422", width=64, height=48, step=128, data=[0] * 6144),
            "'yuv422' is not supported",
        ),
        (
            straight,
            Image(encoding="mono16", width=64, height=48, step=128, data=[0] * 6144),
            "'mono16' is not supported",
        ),
        (straight, Image(encoding="", width=64, height=48, step=192, data=[0] * 9216), "image encoding '' is not"),
        (straight, Image(encoding="rgb8", width=0, height=2**32 - 1, step=0), "0x4294967295 pixels"),
    ]
    for info, picture, sentence in cases:
        for _ in range(3):
            node._on_info(info)  # type: ignore[attr-defined]
            node._on_image(picture)  # type: ignore[attr-defined]
        assert capfd.readouterr().err.count(sentence) == 1, sentence
    node._on_info(straight)  # type: ignore[attr-defined]
    node._on_image(grey)  # type: ignore[attr-defined]
    assert node._pictures == 1, "a good picture counts again"  # type: ignore[attr-defined]
