"""A gripper by action, over DDS: refused goals are told, one that comes back gets its goal again, no goal twice."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("control_msgs.action", reason="control_msgs is not installed (apt: ros-$ROS_DISTRO-control-msgs)")
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from varl_robot_env.arms.gripper_command import make_gripper_command  # noqa: E402
from varl_robot_env.config.paths import config_file  # noqa: E402
from varl_robot_env.config.robot import RobotConfig  # noqa: E402
from varl_robot_env.motion import GripperMotion  # noqa: E402
from varl_robot_env.standin.gripper_action import GripperAction  # noqa: E402

UR5E = RobotConfig.from_yaml(config_file("robots", "ur5e"))
PATIENCE = 30.0  # s


class Rig:
    """An env's end and a driver's end, each spun by a thread of its own."""

    def __init__(self, interface: str) -> None:
        assert UR5E.gripper
        self.gripper = UR5E.gripper.model_copy(update={"interface": interface})
        self.node = rclpy.create_node("env")
        self._ends = [self._spin(self.node)]
        self.command = make_gripper_command(self.node, UR5E, self.gripper)
        self.start_driver()

    def start_driver(self) -> None:
        self.driver = rclpy.create_node("driver")
        self.action = GripperAction(self.driver, self.gripper, lambda position: None)
        self._ends.append(self._spin(self.driver))

    def end_driver(self) -> None:
        self._ends.pop()()
        self.action.destroy()
        self.driver.destroy_node()

    def _spin(self, node: Node) -> Callable[[], None]:
        """Spin it in a thread; what ends that."""
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        thread = threading.Thread(target=executor.spin)
        thread.start()

        def end() -> None:
            executor.shutdown()
            thread.join()

        return end

    def until(self, condition: Callable[[], object], goal: float | None = None) -> None:
        """Command ``goal`` in every period until the condition holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end
            if goal is not None:
                self.command.send(GripperMotion(goal, goal, goal))
            time.sleep(0.02)

    def close(self) -> None:
        for end in self._ends:
            end()


@pytest.fixture(params=["gripper_command", "parallel_gripper_command"])
def rig(ros: int, request: pytest.FixtureRequest) -> Iterator[Rig]:
    made = Rig(request.param)
    made.until(lambda: made.command.not_ready_reason() is None)
    yield made
    made.close()


def test_each_goal_is_sent_once(rig: Rig) -> None:
    rig.until(lambda: rig.action.goals == [0.8], 0.8)
    for _ in range(20):
        rig.command.send(GripperMotion(0.8, 0.8, 0.8))
        time.sleep(0.01)
    rig.until(lambda: rig.action.goals[-1] == 0.0, 0.0)
    assert rig.action.goals == [0.8, 0.0]


@pytest.mark.parametrize("what", ["refuses", "gives_up"])
def test_what_is_not_carried_out_is_told_in_the_end(rig: Rig, what: str) -> None:
    setattr(rig.action, what, True)
    rig.until(rig.command.problem, 0.8)
    assert "gripper's goal" in (rig.command.problem() or "")
    setattr(rig.action, what, False)
    rig.command.reset()
    rig.until(lambda: rig.action.goals[-1:] == [0.8] and rig.command.problem() is None, 0.8)


def test_a_gripper_that_comes_back_gets_its_goal_again(rig: Rig) -> None:
    rig.until(lambda: rig.action.goals == [0.8], 0.8)
    rig.end_driver()
    rig.until(lambda: rig.command.not_ready_reason() is not None, 0.8)
    rig.start_driver()
    rig.until(lambda: rig.action.goals == [0.8], 0.8)
