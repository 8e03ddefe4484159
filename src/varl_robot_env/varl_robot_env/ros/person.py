"""What a person says of an episode: by the joystick, or by services of the env node."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_srvs.srv import Trigger

from varl_robot_env.env.env_core import EnvCore
from varl_robot_env.ros.joystick import Joystick, JoystickConfig
from varl_robot_env.success.moments import Label


class Person:
    """Whoever stands by: holds the arm, says that the task is solved or is not, and when things are back in place.

    ``~/success`` ends an episode that a person judges; ``~/veto`` takes back the success of the present episode, or of
    the last one until the next has begun; ``~/ready`` says that things are where an episode begins. Where moments are
    kept the first two label the newest, and so does ``~/nearly``.
    """

    def __init__(
        self, node: Node, core: EnvCore, config: JoystickConfig | None, axes: Sequence[str], group: CallbackGroup
    ) -> None:
        """``config``: of the joystick, None: there is none; ``axes``: of the task's action."""
        self._node, self._core = node, core
        self._joystick = Joystick(config, axes) if config else None
        if config:
            node.create_subscription(Joy, config.topic, self._on_joy, 100, callback_group=group)
        says: dict[str, Callable[[], tuple[bool, str]]] = {
            "success": self._success,
            "veto": self._veto,
            "nearly": self._nearly,
            "ready": self._ready,
        }
        for name, say in says.items():
            node.create_service(Trigger, f"~/{name}", _answer(say), callback_group=group)

    def action(self, asked: Sequence[float], hear: Callable[[], object]) -> tuple[Sequence[float], bool, bool]:
        """The action to take, whether it is the person's, and whether the joystick fell silent while they held the arm.

        ``hear`` takes in what has come meanwhile: where this process was starved, it waits to be heard.
        """
        joystick = self._joystick
        if joystick is None:
            return asked, False, False
        if joystick.late(time.monotonic()):
            hear()
        lost = joystick.lost(time.monotonic())
        return joystick.action(asked), joystick.held, lost

    def _on_joy(self, message: Joy) -> None:
        assert self._joystick
        try:
            said = self._joystick.hear(message.axes, message.buttons, time.monotonic())
        except ValueError as error:
            self._node.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        if said == "success":
            self._success()
        if said == "veto":
            self._veto()

    def _success(self) -> tuple[bool, str]:
        core = self._core
        kept = core.label(Label.SUCCESS)
        if core.person_judges:
            core.mark_success()
            return True, "the episode ends with success"
        if kept:
            return True, "kept as a moment of success"
        return False, "this task judges itself; for a person to, write success: {person: true} into its file"

    def _veto(self) -> tuple[bool, str]:
        kept = self._core.veto()
        return True, "that was no success" + ("; kept as a moment of failure" if kept else "")

    def _nearly(self) -> tuple[bool, str]:
        if self._core.label(Label.NEARLY):
            return True, "kept as a moment that looks like success"
        return False, "no moments are kept; start with moments:=FOLDER"

    def _ready(self) -> tuple[bool, str]:
        self._core.mark_ready()
        return True, "the next reset begins an episode"


def _answer(say: Callable[[], tuple[bool, str]]) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
    def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = say()
        return response

    return answer
