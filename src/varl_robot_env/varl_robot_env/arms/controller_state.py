"""Whether the arm's controller is active: one that is not keeps its topic and drops what comes."""

from __future__ import annotations

import importlib
import time
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from varl_robot_env.ros.hot_loop import HotLoop

_EVERY = 0.1  # s between two questions
_PATIENCE = 2.0  # s for an answer


class ControllerState:
    """Asks ros2_control's controller_manager again and again. Where there is none it says so once and knows nothing."""

    def __init__(self, node: Node, manager: str, controller: str, group: CallbackGroup) -> None:
        """``manager``: its name. ``group``: of the answers' callbacks."""
        self._controller, self._client = controller, None
        self._future: Any = None
        self._asked_at = 0.0
        self._problem: str | None = None
        self._answered = False
        try:
            kind = importlib.import_module("controller_manager_msgs.srv").ListControllers
        except (ImportError, AttributeError):
            node.get_logger().warning(
                f"controller_manager_msgs is not installed: whether {controller} is active is not asked, only whether "
                "somebody listens and the arm follows; apt install ros-$ROS_DISTRO-controller-manager-msgs"
            )
            return
        self._request = kind.Request()
        self._client = node.create_client(kind, f"{manager}/list_controllers", callback_group=group)

    def not_ready_reason(self) -> str | None:
        """Why it would not move the arm yet, in a sentence; None too where nobody can be asked."""
        problem = self.problem()
        if self._client is None or self._answered or not self._client.service_is_ready():
            return problem
        return f"{self._client.service_name} has not answered yet"

    def ask_anew(self, loop: HotLoop) -> None:
        """Wait for a new answer: nobody asked while the arm stood still, and somebody may have switched meanwhile."""
        if self._client is None or not self._client.service_is_ready():
            return
        self._forget()
        self._answered, self._problem, self._asked_at = False, None, 0.0
        due = time.monotonic() + _PATIENCE
        while not self._answered and time.monotonic() < due:
            self.problem()
            loop.spin_until(lambda: self._future is not None and self._future.done(), _EVERY)
        if not self._answered:
            self._problem = f"{self._client.service_name} does not answer; see whether controller_manager still runs"

    def problem(self) -> str | None:
        """Why the controller does not move the arm, by its last answer; None where it does or nobody can be asked."""
        if self._client is None:
            return None
        now = time.monotonic()
        if self._future is not None and self._future.done():
            self._problem, self._answered = self._judge(self._future.result()), True
            self._future = None
        elif self._future is not None and now - self._asked_at > _PATIENCE:
            self._forget()
        if self._future is None and now - self._asked_at > _EVERY and self._client.service_is_ready():
            self._future, self._asked_at = self._client.call_async(self._request), now
        return self._problem

    def _forget(self) -> None:
        if self._future is not None and self._client is not None:
            self._client.remove_pending_request(self._future)
        self._future = None

    def _judge(self, answer: Any) -> str | None:
        states = {one.name: one.state for one in answer.controller}
        if self._controller not in states:
            return f"there is no controller {self._controller}; load one of that name, or change the robot's file"
        state = states[self._controller]
        if state == "active":
            return None
        return f"the controller {self._controller} is {state}; activate it (ros2 control switch_controllers)"
