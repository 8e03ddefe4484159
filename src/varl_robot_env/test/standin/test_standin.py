"""The stand-ins behave like hardware: what is tested against them would be tested against the wire."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, Float64
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from varl_common.ros.qos import COMMAND, LATCHED
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.motion import Trajectory
from varl_robot_env.standin.camera_node import StandinCamera
from varl_robot_env.standin.driver_node import StandinDriver
from varl_robot_env.standin.faults import CameraFault, DriverFault
from varl_robot_env.standin.plant import Plant
from varl_robot_env.types import Array

ROBOT = config_file("robots", "ur5e")
URDF = Path(__file__).parents[2] / "urdf" / "standin_ur5e.urdf"


def run(plant: Plant, seconds: float) -> Array:
    for _ in range(round(seconds / 0.002)):
        plant.step(0.002)
    return plant.positions


def to(joints: list[float], seconds: float) -> Trajectory:
    """One point, positions only."""
    return Trajectory(np.array([seconds]), np.array([joints]))


@pytest.fixture
def plant() -> Plant:
    return Plant(np.zeros(2), gripper=0.04, gripper_open=0.04, gripper_speed=0.1)


def test_an_arm_that_is_not_fed_stops_at_the_last_point(plant: Plant) -> None:
    plant.command(to([0.1, -0.2], 0.1))
    assert run(plant, 0.05)[0] < 0.06
    np.testing.assert_allclose(run(plant, 0.3), [0.1, -0.2], atol=1e-4)
    np.testing.assert_allclose(plant.velocities, 0.0, atol=1e-3)


def test_a_new_trajectory_replaces_the_old_from_where_the_arm_is(plant: Plant) -> None:
    plant.command(to([1.0, 0.0], 1.0))
    run(plant, 0.5)
    plant.command(to([0.4, 0.0], 0.1))
    measured = plant.positions[0]
    plant.step(0.002)
    assert abs(plant.desired[0] - measured) < 0.01, "from the measured state, as the real controller's default is"
    np.testing.assert_allclose(run(plant, 0.4), [0.4, 0.0], atol=1e-4)


def test_speed_scaling_slows_time(plant: Plant) -> None:
    plant.speed_scaling = 0.5
    plant.command(to([0.2, 0.0], 0.2))
    assert 0.05 < run(plant, 0.2)[0] < 0.11
    plant.speed_scaling = 0.0
    held = run(plant, 0.2)[0]
    assert run(plant, 0.2)[0] == pytest.approx(held, abs=1e-4)


def test_a_disabled_arm_stands_still_at_once_and_forgets(plant: Plant) -> None:
    plant.command(to([1.0, 0.0], 0.2))
    run(plant, 0.1)
    plant.disable()
    held = plant.positions.copy()
    plant.command(to([2.0, 0.0], 0.1))
    np.testing.assert_allclose(run(plant, 0.3), held, atol=1e-9)
    plant.enable()
    np.testing.assert_allclose(run(plant, 0.3), held, atol=1e-9)


def test_a_late_trajectory_waits(plant: Plant) -> None:
    plant.command(to([0.1, 0.0], 0.05), delay=0.5)
    assert run(plant, 0.45)[0] == 0.0
    assert run(plant, 0.3)[0] == pytest.approx(0.1, abs=1e-3)


def test_a_slipping_gripper_opens(plant: Plant) -> None:
    plant.command_gripper(0.0)
    run(plant, 0.6)
    assert plant.gripper == pytest.approx(0.0, abs=1e-3)
    plant.slips = True
    run(plant, 0.5)
    assert plant.gripper > 0.02


class Bench:
    """A stand-in with a listener, on one executor."""

    def __init__(self, make: Callable[[], Node]) -> None:
        self.node, self.listener = make(), rclpy.create_node("listener")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.listener)

    def listen(self, kind: Any, topic: str, quality: Any) -> list[Any]:
        got: list[Any] = []
        self.listener.create_subscription(kind, topic, got.append, quality)
        return got

    def spin(self, seconds: float, until: Callable[[], object] = lambda: False) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not until():
            self.executor.spin_once(timeout_sec=0.01)

    def call(self, service: str) -> Trigger.Response:
        client = self.listener.create_client(Trigger, service)
        assert client.wait_for_service(5.0)
        future = client.call_async(Trigger.Request())
        self.spin(5.0, future.done)
        return future.result()

    def fault(self, name: str) -> bool:
        return self.node.set_parameters([Parameter("fault", value=name)])[0].successful


@pytest.fixture
def bench(domain: int) -> Iterator[Callable[..., Bench]]:
    def make(kind: Callable[[], Node], **parameters: Any) -> Bench:
        pairs = [f"{name}:={value}" for name, value in parameters.items()]
        rclpy.init(args=["--ros-args", *(part for pair in pairs for part in ("-p", pair))])
        return Bench(kind)

    yield make
    rclpy.try_shutdown()


@pytest.fixture
def driver(bench: Callable[..., Bench]) -> Bench:
    return bench(StandinDriver, robot_file=ROBOT, urdf_file=URDF, dropout=0.1)


def test_joint_states_come_with_jitter_and_drop_outs(driver: Bench) -> None:
    times: list[float] = []
    arm = RobotConfig.from_yaml(ROBOT).joints
    quality = qos_profile_sensor_data
    driver.listener.create_subscription(
        JointState,
        "joint_states",
        lambda message: (
            times.append(message.header.stamp.sec % 1000 + message.header.stamp.nanosec * 1e-9)
            if message.name == arm
            else None
        ),
        quality,
    )
    driver.spin(0.5)
    times.clear()
    driver.spin(1.5)
    gaps = np.diff(times)
    assert gaps.max() > 1.5 * np.median(gaps), "some are missing"
    assert gaps.std() > 1e-4, "none comes on the dot"


def test_a_protective_stop_needs_unlocking_and_then_the_program(driver: Bench) -> None:
    running = driver.listen(Bool, "io_and_status_controller/robot_program_running", LATCHED)
    scaling = driver.listen(Float64, "speed_scaling_state_broadcaster/speed_scaling", 10)
    driver.spin(5.0, lambda: running and scaling)
    assert running[-1].data
    assert scaling[-1].data == 100.0
    assert driver.fault(DriverFault.PROTECTIVE_STOP)
    driver.spin(2.0, lambda: not running[-1].data and scaling[-1].data == 0.0)
    assert not running[-1].data
    assert scaling[-1].data == 0.0
    assert not driver.call("io_and_status_controller/resend_robot_program").success
    assert driver.call("standin_driver/unlock_protective_stop").success
    assert driver.call("io_and_status_controller/resend_robot_program").success
    driver.spin(2.0, lambda: running[-1].data)
    assert running[-1].data


def test_trajectories_move_it_and_lost_ones_do_not(driver: Bench) -> None:
    robot = RobotConfig.from_yaml(ROBOT)
    publisher = driver.listener.create_publisher(JointTrajectory, robot.arm_command, COMMAND)
    driver.spin(5.0, publisher.get_subscription_count)
    point = JointTrajectoryPoint(time_from_start=Duration(nanosec=100_000_000))
    point.positions = (np.array(robot.home) + 0.05).tolist()
    message = JointTrajectory(joint_names=robot.joints, points=[point])
    node = driver.node
    assert isinstance(node, StandinDriver)
    driver.fault(DriverFault.LOST_COMMANDS)
    publisher.publish(message)
    driver.spin(2.0, lambda: node.commands == 1)
    driver.spin(0.2)
    np.testing.assert_allclose(node.plant.positions, robot.home, atol=1e-6)
    publisher.publish(message)
    driver.spin(2.0, lambda: node.commands == 2)
    driver.spin(0.4)
    np.testing.assert_allclose(node.plant.positions, point.positions, atol=1e-3)


def test_an_unknown_fault_is_refused(driver: Bench) -> None:
    assert not driver.fault("meteor")


def test_a_silent_driver_says_nothing(driver: Bench) -> None:
    states = driver.listen(JointState, "joint_states", qos_profile_sensor_data)
    driver.spin(5.0, lambda: states)
    driver.fault(DriverFault.SILENT)
    driver.spin(0.2)
    states.clear()
    driver.spin(0.2)
    assert not states


def test_the_camera_freezes_falls_silent_drops_and_lags(bench: Callable[..., Bench]) -> None:
    camera = bench(StandinCamera, rate=50.0)
    images = camera.listen(Image, "camera/camera/color/image_raw", qos_profile_sensor_data)

    def see(fault: CameraFault, seconds: float = 0.4) -> list[Image]:
        assert camera.fault(fault)
        camera.spin(0.1)
        images.clear()
        camera.spin(seconds)
        return list(images)

    camera.spin(5.0, lambda: len(images) > 2)
    normal = see(CameraFault.NONE)
    assert bytes(normal[0].data) != bytes(normal[-1].data)
    frozen = see(CameraFault.FREEZE)
    assert bytes(frozen[0].data) == bytes(frozen[-1].data)
    assert frozen[0].header.stamp != frozen[-1].header.stamp
    assert not see(CameraFault.SILENT)
    assert len(see(CameraFault.DROP)) < 0.7 * len(normal)
    lagging = see(CameraFault.LAG, 1.0)
    now = camera.listener.get_clock().now().nanoseconds * 1e-9
    assert now - (lagging[-1].header.stamp.sec + lagging[-1].header.stamp.nanosec * 1e-9) > 0.4
