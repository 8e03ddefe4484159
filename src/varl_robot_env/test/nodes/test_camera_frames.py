"""Calibrated cameras on TF, over DDS: beside a driver that has a tree of its own, and one that has none."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

rclpy = pytest.importorskip("rclpy")
tf2_msgs = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not installed")
from geometry_msgs.msg import TransformStamped  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import CameraInfo  # noqa: E402
from varl_common.errors import VarlError  # noqa: E402
from varl_common.poses import matrix_to_pose, pose_to_matrix  # noqa: E402
from varl_common.yaml_file import load_yaml  # noqa: E402
from varl_robot_env.config.paths import config_folder  # noqa: E402
from varl_robot_env.nodes.camera_frames import CameraFrames  # noqa: E402

TREE = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
OPTICAL = "camera_color_optical_frame"
DOWN = [0.3, 0.1, 0.6, 1.0, 0.0, 0.0, 0.0]  # looks down on the table
INSIDE = [0.0, 0.015, 0.0, -0.5, 0.5, -0.5, 0.5]  # the optical frame in camera_link, REP 103


def transform(parent: str, child: str, pose: list[float]) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    shift, turn = message.transform.translation, message.transform.rotation
    shift.x, shift.y, shift.z, turn.x, turn.y, turn.z, turn.w = pose
    return message


@pytest.mark.parametrize("mount", ["base", "tool"])
@pytest.mark.parametrize("with_tree", [False, True])
def test_the_optical_frame_is_where_it_was_measured(ros: int, tmp_path: Path, mount: str, with_tree: bool) -> None:
    values = load_yaml(config_folder() / "robots/ur5e.yaml")
    values["cameras"][0]["calibration"] = "camera.yaml"
    found = {"camera": "camera", "mount": mount, "pose": DOWN, "residual_mm": 1.0, "residual_deg": 0.1, "samples": 9}
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump(found))
    robot_file = tmp_path / "ur5e.yaml"
    robot_file.write_text(yaml.safe_dump(values))
    rclpy.shutdown()
    rclpy.init(domain_id=ros, args=["--ros-args", "-p", f"robot_file:={robot_file}"])
    frames: dict[str, tuple[str, np.ndarray]] = {}

    def hear(message: Any) -> None:
        for one in message.transforms:
            shift, turn = one.transform.translation, one.transform.rotation
            pose = np.array([shift.x, shift.y, shift.z, turn.x, turn.y, turn.z, turn.w])
            assert frames.setdefault(one.child_frame_id, (one.header.frame_id,))[0] == one.header.frame_id, "one parent"
            frames[one.child_frame_id] = one.header.frame_id, pose_to_matrix(pose)

    driver = rclpy.create_node("driver", use_global_arguments=False)
    driver.create_subscription(tf2_msgs.TFMessage, "/tf_static", hear, TREE)
    tree = driver.create_publisher(tf2_msgs.TFMessage, "/tf_static", TREE)
    if with_tree:
        middle = transform("camera_link", "camera_color_frame", [0.0, 0.015, 0.0, 0.0, 0.0, 0.0, 1.0])
        turned = transform("camera_color_frame", OPTICAL, [0.0, 0.0, 0.0, *INSIDE[3:]])
        tree.publish(tf2_msgs.TFMessage(transforms=[middle, turned]))
    infos = driver.create_publisher(CameraInfo, values["cameras"][0]["info_topic"], 5)
    node = CameraFrames()
    executor = SingleThreadedExecutor()
    for one in (driver, node):
        executor.add_node(one)
    info = CameraInfo()
    info.header.frame_id = OPTICAL
    root = "camera_link" if with_tree else OPTICAL
    end = time.monotonic() + 60
    while not (root in frames and "fingertips" in frames):
        assert time.monotonic() < end, frames
        infos.publish(info)
        executor.spin_once(timeout_sec=0.01)
    parent, place = frames[root]
    assert parent == ("base_link" if mount == "base" else "fingertips")
    inside = pose_to_matrix(np.array(INSIDE)) if with_tree else np.eye(4)
    np.testing.assert_allclose(matrix_to_pose(place @ inside), DOWN, atol=1e-6)
    assert frames["fingertips"][0] == "tool0"
    np.testing.assert_allclose(frames["fingertips"][1][:3, 3], [0, 0, 0.15])


def test_a_robot_without_a_calibration_is_told_what_to_do(ros: int) -> None:
    with pytest.raises(VarlError, match="no camera has a calibration"):
        _with_file(config_folder() / "robots/ur5e.yaml")


def _with_file(path: Path) -> CameraFrames:
    rclpy.shutdown()
    rclpy.init(args=["--ros-args", "-p", f"robot_file:={path}"])
    return CameraFrames()
