"""What a camera's driver publishes becomes frames: picture, depth in millimetres, and none that belongs elsewhere."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
from builtin_interfaces.msg import Time  # noqa: E402
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import qos_profile_sensor_data  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from varl_common.frame import Frame  # noqa: E402
from varl_common.image_codec import decode_depth, decode_image, encode_jpeg  # noqa: E402
from varl_robot_env.config.robot import CameraConfig  # noqa: E402
from varl_robot_env.perception.camera_model import CameraModel  # noqa: E402
from varl_robot_env.ros import ros_cameras  # noqa: E402
from varl_robot_env.ros.camera_info import camera_info  # noqa: E402
from varl_robot_env.ros.hot_loop import HotLoop  # noqa: E402
from varl_robot_env.ros.image_messages import to_image  # noqa: E402
from varl_robot_env.ros.ros_cameras import RosCameras  # noqa: E402

COLOR = np.full((12, 16, 3), (200, 100, 50), np.uint8)
METRES = np.linspace(0.3, 1.2, 192, dtype=np.float32).reshape(12, 16)
CAMERA = CameraConfig(name="camera", image_topic="image", info_topic="info", depth_topic="depth", stale_after=1e6)


class Rig:
    """A driver and those who look, in one process."""

    def __init__(self) -> None:
        self.node: Node = rclpy.create_node("rig")
        group = MutuallyExclusiveCallbackGroup()
        self.moved = 0.0  # m
        where = lambda: {"camera": np.array([self.moved, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])}  # noqa: E731
        self.cameras = RosCameras(self.node, [CAMERA], group, HotLoop(self.node, group), where)
        self.cameras.want(True)
        self.outputs = {
            name: self.node.create_publisher(Image, name, qos_profile_sensor_data) for name in ("image", "depth")
        }
        end = time.monotonic() + 30
        while not all(output.get_subscription_count() for output in self.outputs.values()):
            assert time.monotonic() < end
            time.sleep(0.01)

    def show(self, topic: str, pixels: np.ndarray, encoding: str, stamp_ms: int) -> None:
        header = Header(stamp=Time(sec=1, nanosec=1_000_000 * stamp_ms), frame_id="optical")
        self.outputs[topic].publish(to_image(pixels, encoding, header))

    def tell(self, model: CameraModel) -> None:
        """The camera's calibration, until it is known."""
        output = self.node.create_publisher(CameraInfo, "info", qos_profile_sensor_data)
        end = time.monotonic() + 30
        while "camera" not in self.cameras._infos:
            assert time.monotonic() < end
            output.publish(camera_info(model, Header()))
            self.cameras._loop.spin_once(0.05)

    def frames(self, wanted: bool = True) -> list[Frame]:
        """The frames, once there are any; where none are ``wanted``, after a while."""
        end = time.monotonic() + (30 if wanted else 1)
        while not (frames := self.cameras.newest()) and time.monotonic() < end:
            self.cameras._loop.spin_once(0.01)
        return frames


@pytest.fixture
def rig(ros: int) -> Iterator[Rig]:
    made = Rig()
    yield made
    made.node.destroy_node()


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_depth_comes_in_millimetres_whatever_the_driver_speaks(rig: Rig, encoding: str) -> None:
    depth = METRES.copy()
    depth[0, 0] = 0.0 if encoding == "16UC1" else np.nan  # a hole
    rig.show("depth", (1000 * depth).astype(np.uint16) if encoding == "16UC1" else depth, encoding, 0)
    rig.show("image", COLOR, "rgb8", 20)
    (frame,) = rig.frames()
    seen = decode_depth(frame.depth)
    assert seen is not None
    assert seen.dtype == np.uint16
    assert seen[0, 0] == 0
    np.testing.assert_allclose(seen.flat[1:], 1000 * METRES.flat[1:], atol=1.0)
    np.testing.assert_allclose(decode_image(frame.jpeg), COLOR, atol=8)  # JPEG


def test_depth_of_another_moment_is_left_out(rig: Rig) -> None:
    rig.show("depth", (1000 * METRES).astype(np.uint16), "16UC1", 0)
    rig.show("image", COLOR, "rgb8", 200)
    (frame,) = rig.frames()
    assert not frame.depth


def test_a_picture_that_cannot_be_read_is_no_frame(rig: Rig) -> None:
    rig.show("image", (1000 * METRES).astype(np.uint16), "16UC1", 0)  # no color
    assert rig.frames(wanted=False) == []


def test_a_picture_without_pixels_is_no_frame_and_is_said_once(rig: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    empty = Image(encoding="rgb8")
    rig.outputs["image"].publish(empty)
    assert rig.frames(wanted=False) == []
    rig.outputs["image"].publish(empty)
    assert rig.frames(wanted=False) == []
    assert capfd.readouterr().err.count("0x0 pixels") == 1
    rig.show("image", COLOR, "rgb8", 0)
    assert rig.frames(), "a good picture after it is a frame again"


K = np.array([[10.0, 0.0, 7.5], [0.0, 10.0, 5.5], [0.0, 0.0, 1.0]])


def test_a_frame_of_a_bent_lens_is_straightened(rig: Rig) -> None:
    lens = CameraModel(16, 12, K, np.array([0.5, 0.1, 0.0, 0.0]), fisheye=True)
    rig.tell(lens)
    picture = np.zeros((12, 16, 3), np.uint8)
    picture[:, 12:] = 255  # an edge right of the middle
    rig.show("image", picture, "rgb8", 0)
    (frame,) = rig.frames()
    assert frame.k is not None
    np.testing.assert_array_equal(frame.k, K)
    expected = lens.straighten_picture(picture)
    assert (expected != picture).any()
    np.testing.assert_allclose(decode_image(frame.jpeg).astype(int), expected, atol=40)  # JPEG at an edge


def test_a_camera_that_is_not_calibrated_has_frames_without_a_matrix(rig: Rig) -> None:
    rig.tell(CameraModel(16, 12, np.zeros((3, 3))))
    rig.show("image", COLOR, "rgb8", 0)
    (frame,) = rig.frames()
    assert frame.k is None


def test_a_frame_is_encoded_beside_the_control_thread_and_keeps_its_own_moment(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on, threads = threading.Event(), []

    def slow(rgb: np.ndarray) -> bytes:
        threads.append(threading.current_thread())
        assert may_go_on.wait(60)
        return encode_jpeg(rgb)

    monkeypatch.setattr(ros_cameras, "encode_jpeg", slow)
    rig.show("depth", (1000 * METRES).astype(np.uint16), "16UC1", 40)
    rig.show("image", COLOR, "rgb8", 40)
    end = time.monotonic() + 30
    while not threads and time.monotonic() < end:
        assert rig.cameras.newest() == [], "it does not wait for what is being encoded"
        rig.cameras._loop.spin_once(0.01)
    rig.moved = 0.5  # the camera's mount moves on meanwhile
    may_go_on.set()
    (frame,) = rig.frames()
    assert threads[0] is not threading.current_thread()
    assert frame.stamp_ns == 1_040_000_000
    assert frame.camera_pose is not None
    assert frame.camera_pose[0, 3] == 0.0, "it was taken from where the camera stood when it came"


def test_a_frame_older_than_its_bound_is_not_shown_as_now(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.show("image", COLOR, "rgb8", 0)
    assert rig.frames()
    later = time.monotonic() + CAMERA.stale_after + 1.0
    monkeypatch.setattr(ros_cameras.time, "monotonic", lambda: later)
    assert rig.cameras.newest() == []
