"""What goes to the controllers of an arm and a gripper, by each of their interfaces."""

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
from varl_robot_env.config.driver import DriverConfig
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.kinematics.kinematics import Kinematics

URDF = Path(__file__).parents[2] / "urdf" / "standin_ur5e.urdf"
UR5E = RobotConfig.from_yaml(config_file("robots", "ur5e")).model_copy(update={"urdf": URDF.read_text()})
KINEMATICS = Kinematics(UR5E.urdf_text(), UR5E.joints, UR5E.base_frame, UR5E.tool_frame)
HOME = np.array(UR5E.home)
GOAL = HOME + np.array([0.02, 0.01, -0.01, 0.0, 0.0, 0.0])


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
        node.create_subscription(kind, robot.arm_command, got.append, 10)

        def hear(count: int) -> list[Any]:
            for _ in range(200):
                if len(got) >= count and command.not_ready_reason() is None:
                    break
                rclpy.spin_once(node, timeout_sec=0.02)
            heard = list(got)
            got.clear()
            return heard

        hear(1) if command.not_ready_reason() else None
        return command, hear

    return make


def test_a_trajectory_is_one_point_without_a_stamp_and_ends_by_itself(sent: Any) -> None:
    command, hear = sent("joint_trajectory", JointTrajectory)
    command.start(HOME, GOAL)
    message = hear(1)[-1]
    assert message.joint_names == UR5E.joints
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)
    assert len(message.points) == 1
    np.testing.assert_allclose(message.points[0].positions, GOAL)
    assert message.points[0].time_from_start.nanosec == pytest.approx(2.0 * UR5E.control_period * 1e9)
    command.halt(HOME)
    np.testing.assert_allclose(hear(1)[-1].points[0].positions, HOME)


def test_positions_are_streamed_in_small_steps(sent: Any) -> None:
    command, hear = sent("forward_position", Float64MultiArray)
    command.start(HOME, GOAL)
    for fraction in (0.25, 1.0, 1.2):
        command.tick(fraction)
        expected = HOME + min(fraction, 1.0) * (GOAL - HOME)
        np.testing.assert_allclose(hear(1)[-1].data, expected)
    command.halt(HOME)
    np.testing.assert_allclose(hear(1)[-1].data, HOME)


def test_a_twist_is_the_tools_velocity_and_zero_at_the_end_and_on_a_halt(sent: Any) -> None:
    command, hear = sent("servo_twist", TwistStamped)
    command.start(HOME, GOAL)
    command.tick(0.5)
    message = hear(1)[-1]
    assert message.header.frame_id == UR5E.base_frame
    linear = message.twist.linear
    moved = (KINEMATICS.forward(GOAL)[0] - KINEMATICS.forward(HOME)[0]) / UR5E.control_period
    np.testing.assert_allclose([linear.x, linear.y, linear.z], moved, atol=2e-3)
    for stop in (lambda: command.tick(1.0), lambda: command.halt(HOME)):
        stop()
        message = hear(1)[-1]
        twist = message.twist
        assert (twist.linear.x, twist.linear.y, twist.linear.z, twist.angular.z) == (0, 0, 0, 0)


def test_a_pose_is_the_tools_in_the_base_frame(sent: Any) -> None:
    command, hear = sent("cartesian_pose", PoseStamped)
    command.start(HOME, GOAL)
    command.tick(1.0)
    message = hear(1)[-1]
    assert message.header.frame_id == UR5E.base_frame
    place, turn = message.pose.position, message.pose.orientation
    np.testing.assert_allclose([place.x, place.y, place.z], KINEMATICS.forward(GOAL)[0])
    assert np.linalg.norm([turn.x, turn.y, turn.z, turn.w]) == pytest.approx(1.0)


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
    command.send(0.4)
    for _ in range(100):
        if got:
            break
        rclpy.spin_once(node, timeout_sec=0.02)
    position = got[0].points[0].positions[0] if kind is JointTrajectory else got[0].data[0]
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
