"""Controllers are asked whether they would do what they are told."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy")
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from varl_robot_env.arms.controller_state import ControllerState  # noqa: E402
from varl_robot_env.arms.servo_state import ServoState  # noqa: E402
from varl_robot_env.ros.hot_loop import HotLoop  # noqa: E402

UNITS = "moveit_servo.command_in_type"
PATIENCE = 20.0  # s


class Rig:
    """The one who asks, and the one who answers."""

    def __init__(self) -> None:
        self.node, self.other = rclpy.create_node("asks"), rclpy.create_node("answers")
        self.group = MutuallyExclusiveCallbackGroup()
        self.loop, self._executor = HotLoop(self.node, self.group), SingleThreadedExecutor()
        self._executor.add_node(self.other)

    def becomes(self, reason: Callable[[], str | None], words: str | None) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            found = reason()
            if (found is None) if words is None else (words in (found or "")):
                return
            assert time.monotonic() < end, f"expected {words!r}, not {found!r}"
            self._executor.spin_once(timeout_sec=0.01)
            self.loop.spin_until(lambda: False, 0.01)

    def spin(self, condition: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end
            self._executor.spin_once(timeout_sec=0.01)


@pytest.fixture
def rig(ros: int) -> Iterator[Rig]:
    made = Rig()
    yield made
    for node in (made.node, made.other):
        assert isinstance(node, Node)
        node.destroy_node()


def test_a_servo_of_other_units_is_refused_until_they_are_right(rig: Rig) -> None:
    rig.other.declare_parameter(UNITS, "unitless")
    servo = ServoState(rig.node, "answers", rig.group)
    rig.spin(servo._parameters.service_is_ready)
    rig.becomes(servo.not_ready_reason, "unitless; set it to speed_units")
    rig.other.set_parameters([Parameter(UNITS, value="speed_units")])
    rig.becomes(servo.not_ready_reason, None)


def test_a_controller_that_is_not_active_is_named_until_it_is(rig: Rig) -> None:
    srv = pytest.importorskip("controller_manager_msgs.srv", reason="controller_manager_msgs is not installed")
    msg = pytest.importorskip("controller_manager_msgs.msg")
    states = {"arm_controller": "inactive"}

    def answer(request: Any, response: Any) -> Any:
        response.controller = [msg.ControllerState(name=name, state=state) for name, state in states.items()]
        return response

    rig.other.create_service(srv.ListControllers, "controller_manager/list_controllers", answer)
    controller = ControllerState(rig.node, "controller_manager", "arm_controller", rig.group)
    rig.becomes(controller.not_ready_reason, "arm_controller is inactive; activate it")
    states["arm_controller"] = "active"
    rig.becomes(controller.not_ready_reason, None)
    states["arm_controller"] = "inactive"
    rig.becomes(controller.not_ready_reason, "inactive")
    states["arm_controller"] = "active"  # while nobody asks, as after a stop
    heard = threading.Event()
    answers = threading.Thread(target=lambda: rig.spin(heard.is_set))
    answers.start()
    controller.ask_anew(rig.loop)
    heard.set()
    answers.join(PATIENCE)
    assert controller.problem() is None, "what was heard before is not repeated"
    states.clear()
    rig.becomes(controller.problem, "no controller arm_controller")
