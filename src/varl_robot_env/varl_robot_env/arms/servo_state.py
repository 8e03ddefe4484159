"""Whether MoveIt Servo takes what it is sent: twists, in metres and radians a second."""

from __future__ import annotations

import importlib
from typing import Any

from rcl_interfaces.srv import GetParameters
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

_UNITS = "moveit_servo.command_in_type"
_WANTED = "speed_units"


class ServoState:
    """Asks a servo node once for the units of its commands, and to take twists. What cannot be asked is said once."""

    def __init__(self, node: Node, servo: str, group: CallbackGroup) -> None:
        """``servo``: name of the node. ``group``: of the answers."""
        self._node, self._servo, self._said = node, servo, False
        self._parameters = node.create_client(GetParameters, f"{servo}/get_parameters", callback_group=group)
        self._units: Any = None  # the answer, or the future of it
        self._switch: Any = None
        try:
            kind = importlib.import_module("moveit_msgs.srv").ServoCommandType
        except (ImportError, AttributeError):
            self._types: Any = None
        else:
            self._types = node.create_client(kind, f"{servo}/switch_command_type", callback_group=group)
            self._twist = kind.Request(command_type=kind.Request.TWIST)

    def not_ready_reason(self) -> str | None:
        """Why it would not do what it is told, in a sentence."""
        if not self._parameters.service_is_ready():
            self._say(f"{self._servo} has no parameters to ask: see yourself that {_UNITS} is {_WANTED}")
            return None
        if self._units is None:
            self._units = self._parameters.call_async(GetParameters.Request(names=[_UNITS]))
        if not self._units.done():
            return f"{self._parameters.service_name} has not answered yet"
        values = self._units.result().values
        units = values[0].string_value if values else ""
        if units != _WANTED:
            self._units = None  # ask again: somebody may change it
            return f"{self._servo} has {_UNITS} {units or 'unset'}; set it to {_WANTED}: twists are in m/s and rad/s"
        return self._not_switched()

    def _not_switched(self) -> str | None:
        if self._types is None or not self._types.service_is_ready():
            self._say(f"{self._servo} cannot be asked to take twists; see yourself that its command type is TWIST")
            return None
        if self._switch is None:
            self._switch = self._types.call_async(self._twist)
        if not self._switch.done():
            return f"{self._types.service_name} has not answered yet"
        if self._switch.result().success:
            return None
        self._switch = None
        return f"{self._servo} refuses to take twists; see its own output"

    def _say(self, line: str) -> None:
        if not self._said:
            self._said = True
            self._node.get_logger().warning(line)
