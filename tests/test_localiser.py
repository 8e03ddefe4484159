"""A thing without a marker, over DDS: the advisor points at it, perception teaches itself by that, and follows it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

rclpy = pytest.importorskip("rclpy")
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from varl_common.poses import matrix_to_pose  # noqa: E402
from varl_robot_env.config.paths import config_file  # noqa: E402
from varl_robot_env.config.robot import RobotConfig  # noqa: E402
from varl_robot_env.nodes.perception import PerceptionNode  # noqa: E402
from varl_robot_env.perception import pointed_things  # noqa: E402
from varl_robot_env.perception.calibration import Calibration  # noqa: E402
from varl_robot_env.perception.camera_model import CameraModel  # noqa: E402
from varl_robot_env.perception.localiser import Pointing, Sighting  # noqa: E402
from varl_robot_env.ros.camera_info import camera_info  # noqa: E402
from varl_robot_env.ros.image_messages import to_image  # noqa: E402
from varl_robot_env.types import Array  # noqa: E402

from varl_interfaces.msg import Entities  # noqa: E402

ADVISOR = "from varl_vlm_advisor.nodes.advisor import main; main()"
ROBOT = config_file("robots", "varl_arm")
LENS = CameraModel(320, 240, np.array([[300.0, 0.0, 159.5], [0.0, 300.0, 119.5], [0.0, 0.0, 1.0]]))
CAMERA = np.array([[0.0, -1.0, 0.0, 0.4], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.8], [0.0, 0.0, 0.0, 1.0]])  # above
HEIGHT = 0.02
TAUGHT_BY = 20


class ByColour:
    """In the network's place, which takes longer to teach: it looks for the colour that it was pointed at."""

    confidence = 0.5

    def __init__(self, names: Sequence[str], pointings: Sequence[Pointing], stopped: Callable[[], bool]) -> None:
        said = [(one.rgb, one.pixels["disc"]) for one in pointings]
        places = [(rgb, *pixel.round().astype(int)) for rgb, pixel in said if pixel is not None]
        self._colour = np.median([rgb[y, x] for rgb, x, y in places], axis=0)

    def find(self, rgb: NDArray[np.uint8]) -> dict[str, Sighting]:
        rows, columns = np.nonzero(np.abs(rgb - self._colour).max(axis=2) < 20)
        middle = np.array([columns.mean(), rows.mean()]) if len(rows) > 30 else None
        return {} if middle is None else {"disc": Sighting(middle, 0.9)}


class World:
    """A camera above a table, on which a red disc is now here, now there."""

    def __init__(self, perception: PerceptionNode) -> None:
        self.node = rclpy.create_node("world")
        camera = RobotConfig.from_yaml(ROBOT).cameras[0]
        self._images = self.node.create_publisher(Image, camera.image_topic, 10)
        self._infos = self.node.create_publisher(CameraInfo, camera.info_topic, 10)
        self._got: list[Entities] = []
        self.node.create_subscription(Entities, "entities", self._got.append, 10)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._executor.add_node(perception)
        self._rng = np.random.default_rng(0)
        self._table = cv2.GaussianBlur(self._rng.integers(60, 190, (240, 320, 3), np.uint8), (0, 0), 6)
        self._stamp = 0

    def show(self, there: bool = True) -> tuple[Array, Entities | None]:
        """A picture: where the disc is, and what perception says; None before it has heard of the camera."""
        place = np.array([*self._rng.uniform([0.2, -0.25], [0.6, 0.25]), HEIGHT])
        optical = np.linalg.inv(CAMERA)[:3] @ [*place, 1.0]
        picture = self._table.copy()
        if there:
            cv2.circle(picture, LENS.project(optical[None])[0].round().astype(int).tolist(), 9, (210, 40, 30), -1)
        self._stamp += 1
        header = Header(frame_id="camera_color_optical_frame")
        header.stamp.sec = self._stamp
        self._infos.publish(camera_info(LENS, header))
        self._images.publish(to_image(picture, "rgb8", header))
        self.spin(lambda: bool(self._got) and self._got[-1].header.stamp.sec == self._stamp, 1.0)
        answered = bool(self._got) and self._got[-1].header.stamp.sec == self._stamp
        return place, self._got[-1] if answered else None

    def spin(self, until: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not until() and time.monotonic() < end:
            self._executor.spin_once(0.01)


@pytest.fixture
def world(domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    command = [sys.executable, "-c", ADVISOR, "--ros-args", "-p", "backend:=scripted", "-p", "scripted.error_rate:=0.0"]
    command += ["-p", "scripted.point_error:=0.005"]  # 1.6 pixels: on the disc
    advisor = subprocess.Popen(command, env=os.environ)
    disc = {"name": "disc", "vlm": {"looks": "the red disc", "height": HEIGHT}}
    localiser = {"every": 0.01, "first": TAUGHT_BY, "most": TAUGHT_BY, "folder": str(tmp_path / "kept")}
    (tmp_path / "things.yaml").write_text(yaml.safe_dump({"things": [disc], "localiser": localiser}))
    pose = matrix_to_pose(CAMERA).tolist()
    calibration = Calibration(camera="camera", mount="base", pose=pose, residual_mm=1, residual_deg=0.1, samples=9)
    calibration.save(tmp_path / "camera.yaml")
    monkeypatch.setattr(pointed_things, "teach", ByColour)
    files = {"robot": ROBOT, "perception": tmp_path / "things.yaml", "calibration": tmp_path / "camera.yaml"}
    arguments = [part for name, file in files.items() for part in ("-p", f"{name}_file:={file}")]
    rclpy.init(args=["--ros-args", *arguments], domain_id=domain)
    perception = PerceptionNode()
    yield World(perception)
    perception.destroy_node()
    rclpy.try_shutdown()
    advisor.kill()
    advisor.wait()


@pytest.mark.timeout(400)
def test_perception_teaches_itself_by_what_the_advisor_points_at(world: World, tmp_path: Path) -> None:
    end, said = time.monotonic() + 200, None
    while not (said and said.names) and time.monotonic() < end:
        _, said = world.show()
    assert said
    assert said.names, "the advisor pointed at the pictures that perception asked about"
    assert len(list((tmp_path / "kept/camera").glob("*.npz"))) >= TAUGHT_BY
    off, lost, found_nothing = [], 0, 0
    for _ in range(15):
        place, said = world.show()
        assert said is not None
        assert said.header.frame_id == "base_link"
        if said.names:
            at = said.poses[0].position
            off.append(float(np.linalg.norm([at.x, at.y, at.z] - place)))
            assert 0.5 <= said.confidence[0] <= 1.0
        else:
            lost += 1
        _, nothing = world.show(there=False)
        assert nothing is not None
        found_nothing += not nothing.names
    assert np.median(off) < 0.015
    assert lost <= 1
    assert found_nothing == 15
