"""What goes to the controllers of an arm and a gripper, by each of their interfaces."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory
from varl_common.errors import VarlError
from varl_robot_env.arms.arm_command import ArmCommand, make_arm_command
from varl_robot_env.arms.gripper_command import make_gripper_command
from varl_robot_env.arms.trajectory_messages import from_trajectory_msg
from varl_robot_env.config.driver import DriverConfig
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics
from varl_robot_env.motion import GripperMotion, Trajectory

URDF = Path(__file__).parents[2] / "urdf" / "standin_ur5e.urdf"
UR5E = RobotConfig.from_yaml(config_file("robots", "ur5e")).model_copy(update={"urdf": URDF.read_text()})
KINEMATICS = Kinematics(UR5E.urdf_text(), UR5E.joints, UR5E.base_frame, UR5E.tool_frame)
HOME = np.array(UR5E.home)
SPEED = np.array([0.2, 0.1, -0.1, 0.0, 0.0, 0.0])  # rad/s
MOTION = Trajectory(
    np.array([0.0, 0.05, 0.09]),
    np.vstack([HOME, HOME + SPEED * 0.025, HOME + SPEED * 0.045]),
    np.vstack([0 * SPEED, SPEED, 0 * SPEED]),
)


@pytest.fixture
def node(ros: int) -> Iterator[Node]:
    node = rclpy.create_node("commander")
    yield node
    node.destroy_node()


@pytest.fixture
def sent(node: Node) -> Callable[[str, type], tuple[ArmCommand, Callable[[int], list[Any]]]]:
    """A command by an interface, and what a controller hears of it."""

    def make(interface: str, kind: type) -> tuple[ArmCommand, Callable[[int], list[Any]]]:
        driver = DriverConfig.from_dict({"arm_interface": interface}, "test")
        robot = UR5E.model_copy(update={"driver": driver})
        command, got = make_arm_command(node, robot, KINEMATICS), []
        node.create_subscription(kind, robot.arm_command, got.append, 100)

        def hear(count: int) -> list[Any]:
            for _ in range(200):
                if len(got) >= count:
                    break
                rclpy.spin_once(node, timeout_sec=0.02)
            heard = list(got)
            got.clear()
            return heard

        for _ in range(500):
            if command.not_ready_reason() is None:
                break
            rclpy.spin_once(node, timeout_sec=0.02)
        return command, hear

    return make


def test_a_trajectory_begins_now_where_it_is_commanded_to_be_and_ends_at_rest(sent: Any) -> None:
    command, hear = sent("joint_trajectory", JointTrajectory)
    command.begin(MOTION, time.monotonic())
    message = hear(1)[-1]
    assert message.joint_names == UR5E.joints
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)
    told = from_trajectory_msg(message)
    np.testing.assert_allclose(told.times, MOTION.times, atol=1e-9)
    np.testing.assert_allclose(told.positions, MOTION.positions)
    np.testing.assert_allclose(told.velocities, MOTION.velocities)
    assert told.times[0] == 0.0
    assert not told.velocities[-1].any()


def test_to_stand_still_is_said_with_a_time_ahead(sent: Any) -> None:
    command, hear = sent("joint_trajectory", JointTrajectory)
    command.begin(Trajectory.at_rest(HOME), time.monotonic())
    told = from_trajectory_msg(hear(1)[-1])
    assert told.times[-1] > 0.0
    np.testing.assert_allclose(told.positions, [HOME, HOME])


def test_positions_are_streamed_in_small_steps_to_the_end(sent: Any) -> None:
    command, hear = sent("forward_position", Float64MultiArray)
    command.begin(MOTION, time.monotonic())
    heard = hear_until(hear, lambda message: np.allclose(message.data, MOTION.positions[-1], atol=1e-12))
    steps = np.abs(np.diff([message.data for message in heard], axis=0)).max(axis=1)
    assert len(heard) > 5
    assert steps.max() < 0.6 * np.abs(MOTION.positions[-1] - HOME).max()


def test_a_twist_is_the_tools_velocity_and_zero_at_the_end_though_nobody_commands_any_more(sent: Any) -> None:
    command, hear = sent("servo_twist", TwistStamped)
    command.begin(MOTION, time.monotonic())
    heard = hear_until(hear, lambda message: not any(parts(message)))
    assert heard[0].header.frame_id == UR5E.base_frame
    fastest = max(heard, key=lambda message: np.linalg.norm(parts(message)))
    expected = KINEMATICS.jacobian(MOTION.positions[1]) @ MOTION.velocities[1]
    np.testing.assert_allclose(parts(fastest), expected, atol=0.3 * np.abs(expected).max())
    assert not any(parts(heard[-1]))


def test_a_pose_is_the_tools_in_the_base_frame(sent: Any) -> None:
    command, hear = sent("cartesian_pose", PoseStamped)
    command.begin(MOTION, time.monotonic())
    end = KINEMATICS.forward(MOTION.positions[-1])[0]

    def there(message: PoseStamped) -> bool:
        place = message.pose.position
        return np.allclose([place.x, place.y, place.z], end, atol=1e-9)

    message = hear_until(hear, there)[-1]
    assert message.header.frame_id == UR5E.base_frame
    turn = message.pose.orientation
    assert np.linalg.norm([turn.x, turn.y, turn.z, turn.w]) == pytest.approx(1.0)


def parts(message: TwistStamped) -> list[float]:
    linear, angular = message.twist.linear, message.twist.angular
    return [linear.x, linear.y, linear.z, angular.x, angular.y, angular.z]


def hear_until(hear: Callable[[int], list[Any]], last: Callable[[Any], bool]) -> list[Any]:
    """What is heard up to the message that is the last."""
    heard: list[Any] = []
    for _ in range(500):
        heard += hear(1)
        if heard and last(heard[-1]):
            return heard
    pytest.fail(f"the last of {len(heard)} messages never came")


@pytest.mark.parametrize(
    ("interface", "kind"), [("joint_trajectory", JointTrajectory), ("position_array", Float64MultiArray)]
)
def test_a_gripper_by_topic_goes_where_it_is_told(node: Node, interface: str, kind: type) -> None:
    assert UR5E.gripper
    gripper = UR5E.gripper.model_copy(update={"interface": interface})
    command, got = make_gripper_command(node, UR5E, gripper), []
    node.create_subscription(kind, gripper.command_name, got.append, 10)
    for _ in range(100):
        if command.not_ready_reason() is None:
            break
        rclpy.spin_once(node, timeout_sec=0.02)
    command.send(GripperMotion(0.3, 0.4, 0.8))
    for _ in range(100):
        if got:
            break
        rclpy.spin_once(node, timeout_sec=0.02)
    position = got[0].points[-1].positions[0] if kind is JointTrajectory else got[0].data[0]
    assert position == 0.4


@pytest.mark.parametrize("interface", ["gripper_command", "parallel_gripper_command"])
def test_a_gripper_whose_package_is_missing_is_named_with_the_remedy(node: Node, interface: str) -> None:
    try:
        import control_msgs.action  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("control_msgs is installed")
    assert UR5E.gripper
    with pytest.raises(VarlError, match="control-msgs"):
        make_gripper_command(node, UR5E, UR5E.gripper.model_copy(update={"interface": interface}))
