"""What Gazebo's files say is valid, and agrees with each other and with MuJoCo's."""

import importlib
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import xacro
import yaml
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics

ROOT = Path(__file__).parents[1]
WORLD = ROOT / "src/varl_robot_env/gazebo/varl_world.sdf"
XACRO = ROOT / "src/varl_robot_env/gazebo/varl_arm.urdf.xacro"
CONTROLLERS = ROOT / "config/gazebo/controllers.yaml"
BRIDGE = ROOT / "config/gazebo/bridge.yaml"
ROBOT = RobotConfig.from_yaml(ROOT / "config/robots/varl_arm.yaml")

# Debian's ignition-tools always says so.
BACKTRACE = "Library error: libignition-tools-backward.so not found. Improved backtrace generation will be disabled\n"

# Pairs that ros_gz_bridge can convert (its README on the branch jazzy).
CONVERTS = {
    "rosgraph_msgs/msg/Clock": {"gz.msgs.Clock"},
    "sensor_msgs/msg/Image": {"gz.msgs.Image"},
    "sensor_msgs/msg/CameraInfo": {"gz.msgs.CameraInfo"},
    "geometry_msgs/msg/PoseStamped": {"gz.msgs.Pose"},
    "sensor_msgs/msg/JointState": {"gz.msgs.Model"},
}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def simulator() -> dict[str, Any]:
    return dict(load(ROOT / "config/simulator.yaml")["/**/simulator"]["ros__parameters"])


def text(element: ElementTree.Element | ElementTree.ElementTree, path: str) -> str:
    found = element.findtext(path)
    assert found, path
    return found


@pytest.fixture(scope="module")
def urdf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gazebo") / "varl_arm.urdf"
    document = xacro.process_file(str(XACRO), mappings={"controllers": str(CONTROLLERS)})
    path.write_text(document.toxml(), encoding="utf-8")
    return path


@pytest.mark.skipif(not shutil.which("check_urdf"), reason="check_urdf is not installed: apt install liburdfdom-tools")
def test_the_arms_xacro_is_a_valid_urdf(urdf: Path) -> None:
    subprocess.run(["check_urdf", urdf], check=True, capture_output=True)


@pytest.mark.skipif(not shutil.which("ign"), reason="ign is not installed: apt install ignition-tools libsdformat-dev")
def test_world_and_arm_are_valid_sdf(urdf: Path) -> None:
    for path in (WORLD, urdf):
        answer = subprocess.run(["ign", "sdf", "-k", path], capture_output=True, text=True, check=False)
        told = answer.stdout + answer.stderr.replace(BACKTRACE, "")
        assert told.strip() == "Valid.", told


def test_the_world_uses_only_what_its_version_knows() -> None:
    assert ElementTree.parse(WORLD).getroot().get("version") == "1.9"


def test_joints_and_controllers_have_the_same_names_everywhere(urdf: Path) -> None:
    controllers = load(CONTROLLERS)
    manager = controllers["controller_manager"]["ros__parameters"]
    assert ROBOT.gripper is not None
    wanted = {ROBOT.arm_controller: list(ROBOT.joints), ROBOT.gripper.controller: [ROBOT.gripper.joint]}
    for controller, joints in wanted.items():
        assert manager[controller]["type"] == "joint_trajectory_controller/JointTrajectoryController"
        assert controllers[controller]["ros__parameters"]["joints"] == joints
    root = ElementTree.parse(urdf).getroot()
    interfaces = {joint.get("name"): joint for joint in root.findall("ros2_control/joint")}
    # gz_ros2_control lets follow only mimics that it is given, and Gazebo's DART knows none by itself.
    mimics = {joint.get("name") for joint in root.findall("joint") if joint.find("mimic") is not None}
    assert mimics
    assert set(interfaces) == {*ROBOT.joints, ROBOT.gripper.joint, *mimics}
    for name, joint in interfaces.items():
        if name in mimics:  # ros2_control refuses a mimic that takes commands
            assert joint.find("command_interface") is None
            assert [item.get("name") for item in joint.findall("state_interface")] == ["position", "velocity"]
            continue
        assert [item.get("name") for item in joint.findall("command_interface")] == ["position"]
        assert [item.get("name") for item in joint.findall("state_interface")] == ["position", "velocity"]
    assert {joint.get("name") for joint in root.findall("joint")} >= set(interfaces)
    control, publisher = root.findall("gazebo/plugin")
    assert control.findtext("parameters") == str(CONTROLLERS)
    assert {joint.text for joint in publisher.findall("joint_name")} == {*ROBOT.joints, ROBOT.gripper.joint}
    (bridged,) = (entry for entry in load(BRIDGE) if entry["ros_topic_name"] == "gazebo/joint_states")
    assert publisher.findtext("topic") == bridged["gz_topic_name"] == f"/model/{ROBOT.name}/joint_state"


def test_the_arm_stands_where_it_does_in_mujoco(urdf: Path) -> None:
    gazebo = Kinematics(urdf.read_text(encoding="utf-8"), ROBOT.joints, "world", ROBOT.tool_frame)
    mujoco = Kinematics(ROBOT.urdf_text(), ROBOT.joints, ROBOT.base_frame, ROBOT.tool_frame)
    home = np.array(ROBOT.home)
    np.testing.assert_allclose(gazebo.forward(home)[0], mujoco.forward(home)[0], atol=1e-9)


def test_bridged_types_exist_and_can_be_converted() -> None:
    for entry in load(BRIDGE):
        package, _, name = entry["ros_type_name"].split("/")
        assert hasattr(importlib.import_module(f"{package}.msg"), name)
        assert entry["gz_type_name"] in CONVERTS[entry["ros_type_name"]]
        assert entry["direction"] == "GZ_TO_ROS"


def test_the_bridge_speaks_the_names_of_the_robots_cameras_and_of_the_world() -> None:
    entries = {entry["ros_topic_name"]: entry["gz_topic_name"] for entry in load(BRIDGE)}
    world = ElementTree.parse(WORLD).getroot()
    sensors = {
        model.get("name"): model.find(".//sensor")
        for model in world.iter("model")
        if model.find(".//sensor") is not None
    }
    assert set(sensors) == {camera.name for camera in ROBOT.cameras}
    for camera in ROBOT.cameras:
        sensor = sensors[camera.name]
        assert sensor is not None
        prefix = text(sensor, "topic").removesuffix("/image")
        assert entries[camera.image_topic] == f"{prefix}/image"
        assert entries[camera.info_topic] == f"{prefix}/camera_info"
        if camera.depth_topic:
            assert sensor.get("type") == "rgbd_camera"
            assert entries[camera.depth_topic] == f"{prefix}/depth_image"
    models = {model.get("name") for model in world.iter("model")} | {ROBOT.name}
    assert {gz.split("/")[2] for gz in entries.values() if gz.startswith("/model/")} <= models


def test_the_world_is_mujocos() -> None:
    world, config = ElementTree.parse(WORLD).getroot(), simulator()
    assert float(text(world, ".//max_step_size")) == config["timestep"]
    rate = load(CONTROLLERS)["controller_manager"]["ros__parameters"]["update_rate"]
    assert rate == pytest.approx(1 / config["timestep"])
    models = {model.get("name"): model for model in world.iter("model")}
    block = load(ROOT / "config/tasks/push.yaml")["things"]["block"]["object"]
    assert [float(x) for x in text(models["block"], ".//size").split()] == block["size"]
    assert float(text(models["block"], ".//mass")) == block["mass"]
    assert {float(mu.text or "nan") for mu in world.iter("mu")} == {config["friction"]}
    size = float(text(world, ".//image/width")), float(text(world, ".//image/height"))
    assert size == (config["camera_width"], config["camera_height"])
    vertical = 2 * np.arctan(np.tan(float(text(world, ".//horizontal_fov")) / 2) * size[1] / size[0])
    assert np.degrees(vertical) == pytest.approx(config["camera_fov"], abs=1e-3)
    for name, where in (("camera", "camera"), ("side_camera", "second_camera")):
        x, y, z, roll, pitch, yaw = (float(value) for value in text(models[name], "pose").split())
        assert [x, y, z] == config[f"{where}_position"]
        ahead = np.array([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), -np.sin(pitch)])
        wanted = np.subtract(config[f"{where}_look_at"], [x, y, z])
        np.testing.assert_allclose(ahead, wanted / np.linalg.norm(wanted), atol=1e-5)
        assert roll == 0.0
