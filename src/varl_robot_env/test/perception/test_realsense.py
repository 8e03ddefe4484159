"""The camera and its node against a recording that the test itself makes: no camera is needed."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from varl_robot_env.nodes.realsense import RealSenseNode
from varl_robot_env.perception.realsense import RealSense, RealSenseConfig, RgbdFrame
from varl_robot_env.ros.image_messages import color_pixels, depth_metres

rs = pytest.importorskip("pyrealsense2", exc_type=ImportError)

WIDTH, HEIGHT, FPS = 64, 48, 60
LEFT_OUT = (5, 6)  # frames that the camera made and that never came


def record(path: Path, frames: int = 16, depth_unit: float = 0.001) -> None:
    """Frame n is of the grey n everywhere and 500 + n depth units away."""
    device = rs.software_device()
    device.register_info(rs.camera_info.name, "software")
    device.register_info(rs.camera_info.serial_number, "0001")
    depth, color = device.add_sensor("Stereo Module"), device.add_sensor("RGB Camera")
    depth_profile = depth.add_video_stream(_stream(rs.stream.depth, 0, rs.format.z16, 2)).as_video_stream_profile()
    color_profile = color.add_video_stream(_stream(rs.stream.color, 1, rs.format.rgb8, 3)).as_video_stream_profile()
    depth.add_read_only_option(rs.option.depth_units, depth_unit)
    same_place = rs.extrinsics()
    same_place.rotation, same_place.translation = [1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0]
    depth_profile.register_extrinsics_to(color_profile, same_place)
    recorder = rs.recorder(str(path), device, False)
    syncer, sensors = rs.syncer(), recorder.query_sensors()
    for sensor in sensors:
        sensor.open(sensor.profiles)
        sensor.start(syncer)
    for number in range(frames):
        time.sleep(1 / FPS)  # playback keeps the pace of the recording
        if number in LEFT_OUT:
            continue
        grey = np.full((HEIGHT, WIDTH, 3), number, np.uint8)
        far = np.full((HEIGHT, WIDTH), 500 + number, np.uint16)
        for sensor, profile, pixels, size in ((depth, depth_profile, far, 2), (color, color_profile, grey, 3)):
            frame = rs.software_video_frame()
            frame.pixels, frame.stride, frame.bpp = pixels, WIDTH * size, size
            frame.timestamp, frame.domain = number * 1000 / FPS, rs.timestamp_domain.hardware_clock
            frame.frame_number, frame.profile = number, profile
            sensor.on_video_frame(frame)
        syncer.wait_for_frames(1000)
    for sensor in sensors:
        sensor.stop()
        sensor.close()


def _stream(kind: Any, uid: int, pixel: Any, size: int) -> Any:
    intrinsics = rs.intrinsics()
    intrinsics.width, intrinsics.height = WIDTH, HEIGHT
    intrinsics.fx, intrinsics.fy, intrinsics.ppx, intrinsics.ppy = 50.0, 51.0, 32.0, 24.0
    intrinsics.model, intrinsics.coeffs = rs.distortion.none, [0.0] * 5
    stream = rs.video_stream()
    stream.type, stream.index, stream.uid, stream.fps = kind, 0, uid, FPS
    stream.width, stream.height, stream.bpp, stream.fmt, stream.intrinsics = WIDTH, HEIGHT, size, pixel, intrinsics
    return stream


def config(path: Path) -> RealSenseConfig:
    return RealSenseConfig(recording=str(path), width=WIDTH, height=HEIGHT, fps=FPS, lost_after=0.2, retry_period=0.1)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("realsense") / "camera.db3"
    record(path)
    return path


def frames_of(camera: RealSense, reopenings: int = 0) -> Iterator[RgbdFrame]:
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline and camera.health.reconnects <= reopenings:
        if (frame := camera.poll(0.1)) is not None:
            yield frame


def test_frames_carry_color_depth_and_intrinsics(recording: Path) -> None:
    camera = RealSense(config(recording))
    frame = next(frames_of(camera))
    camera.close()
    assert frame.color.shape == (HEIGHT, WIDTH, 3)
    assert frame.color.dtype == np.uint8
    assert frame.depth.shape == (HEIGHT, WIDTH)
    assert frame.depth.dtype == np.uint16
    assert (frame.color == frame.number).all()
    assert np.median(frame.depth) == pytest.approx(500 + frame.number, abs=1)  # the sync pairs neighbours at times
    np.testing.assert_allclose(frame.lens.k, [[50, 0, 32], [0, 51, 24], [0, 0, 1]])


def test_missing_frames_are_counted(recording: Path) -> None:
    camera = RealSense(config(recording))
    numbers = [frame.number for frame in frames_of(camera)]
    camera.close()
    gaps = sum(later - earlier - 1 for earlier, later in itertools.pairwise(numbers))
    assert camera.health.frames == len(numbers) > 5
    assert camera.health.drops == gaps >= len(LEFT_OUT)


def test_a_camera_that_fell_silent_is_opened_again(recording: Path) -> None:
    camera = RealSense(config(recording))  # the recording ends: to the camera class that is a cable pulled out
    numbers = [frame.number for frame in frames_of(camera, reopenings=1)]
    camera.close()
    assert any(later < earlier for earlier, later in itertools.pairwise(numbers)), "it began anew"
    assert "no frame for" in camera.health.error


def test_depth_of_any_unit_becomes_millimetres(tmp_path: Path) -> None:
    record(tmp_path / "camera.db3", frames=5, depth_unit=0.0001)
    camera = RealSense(config(tmp_path / "camera.db3"))
    frame = next(frames_of(camera))
    camera.close()
    assert np.median(frame.depth) == pytest.approx(50, abs=1)


def test_no_camera_is_a_sentence_and_no_frame() -> None:
    camera = RealSense(RealSenseConfig(serial="no such camera", retry_period=0.05))
    assert camera.poll(0.01) is None
    assert camera.poll(0.01) is None
    assert "is not connected" in camera.health.error
    assert camera.health.reconnects == 0, "it was never there"


@pytest.mark.usefixtures("domain")
def test_the_node_publishes_color_depth_info_and_diagnostics(recording: Path) -> None:
    values = {"recording": recording, "width": WIDTH, "height": HEIGHT, "fps": FPS, "retry_period": 0.1}
    rclpy.init(args=["--ros-args", *(part for key, value in values.items() for part in ("-p", f"{key}:={value}"))])
    node, listener = RealSenseNode(), rclpy.create_node("listener")
    got: dict[str, list[Any]] = {"color": [], "depth": [], "info": [], "diagnostics": []}
    for key, kind, topic in (
        ("color", Image, "camera/camera/color/image_raw"),
        ("depth", Image, "camera/camera/aligned_depth_to_color/image_raw"),
        ("info", CameraInfo, "camera/camera/color/camera_info"),
        ("diagnostics", DiagnosticArray, "/diagnostics"),
    ):
        listener.create_subscription(kind, topic, got[key].append, qos_profile_sensor_data)
    deadline = time.monotonic() + 60.0
    while not all(got.values()) and time.monotonic() < deadline:
        node.step()
        rclpy.spin_once(node, timeout_sec=0.0)
        for _ in got:
            rclpy.spin_once(listener, timeout_sec=0.005)
    node.camera.close()
    node.destroy_node()
    listener.destroy_node()
    rclpy.try_shutdown()
    assert all(got.values()), {key: len(value) for key, value in got.items()}
    color, depth, info = got["color"][0], got["depth"][0], got["info"][0]
    assert color_pixels(color).shape == (HEIGHT, WIDTH, 3)
    assert 0.5 <= depth_metres(depth)[0, 0] < 0.52
    assert color.header.frame_id == depth.header.frame_id == "camera_color_optical_frame"
    assert list(info.k) == [50, 0, 32, 0, 51, 24, 0, 0, 1]
    assert got["diagnostics"][-1].status[0].level == DiagnosticStatus.OK
