"""How a node is, on /diagnostics, for whoever watches the graph (rqt_robot_monitor, a person, a script)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

PERIOD = 1.0  # s, the usual rate of diagnostic_updater (which the ROS packages that PyPI has lack)


@dataclass(frozen=True)
class Health:
    """How something is: ``problem`` where it needs somebody, ``warning`` where it may; values by name."""

    words: str = "fine"
    warning: str = ""
    problem: str = ""
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def level(self) -> bytes:
        """As DiagnosticStatus has it."""
        if self.problem:
            return bytes(DiagnosticStatus.ERROR)
        return bytes(DiagnosticStatus.WARN if self.warning else DiagnosticStatus.OK)


class Diagnostics:
    """Publishes what ``look`` finds once a second, as ``<node>: <what>``. The node's executor calls it."""

    def __init__(self, node: Node, what: str, look: Callable[[], Health], hardware_id: str = "") -> None:
        self._node, self._look, self._hardware_id = node, look, hardware_id
        self._name = f"{node.get_fully_qualified_name()}: {what}"
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # By the wall clock: simulated time may stand still.
        node.create_timer(PERIOD, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def publish(self) -> None:
        """Publish now."""
        health = self._look()
        status = DiagnosticStatus(
            level=health.level,
            name=self._name,
            message=health.problem or health.warning or health.words,
            hardware_id=self._hardware_id,
            values=[KeyValue(key=name, value=str(value)) for name, value in health.values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)
