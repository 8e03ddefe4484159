"""Whether the agent whose reset brings an arm home is still alive: DDS notices where its process is gone.

A step lasts a period and ends at rest by itself, but a way home takes seconds, and nobody may look after the arm any
more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rclpy.duration import Duration
from rclpy.event_handler import QoSLivelinessChangedInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import LivelinessPolicy, QoSProfile
from std_msgs.msg import Empty

# The middleware's own thread says every two thirds of this that the process lives, however busy its Python is, s.
_LEASE = 0.08
_PRESENCE = QoSProfile(
    depth=1, liveliness=LivelinessPolicy.AUTOMATIC, liveliness_lease_duration=Duration(seconds=_LEASE)
)


def announce(node: Node, env_name: str) -> Publisher:
    """Let the env node ``env_name`` know of ``node`` for as long as the publisher is kept; nothing is published."""
    return node.create_publisher(Empty, f"{env_name}/agent", _PRESENCE)


class AgentPresence:
    """Of all agents that announce themselves to ``node``. Who resets by hand (``ros2 service call``) does not.

    Attributes:
        lost: an agent was lost since the present reset began; false where none runs.
    """

    def __init__(self, node: Node) -> None:
        self.lost = self._watching = False
        self._logger = node.get_logger()
        events = SubscriptionEventCallbacks(liveliness=self._on_change)
        node.create_subscription(Empty, "~/agent", lambda message: None, _PRESENCE, event_callbacks=events)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While a reset runs."""
        self.lost, self._watching = False, True
        try:
            yield
        finally:
            self.lost = self._watching = False

    def _on_change(self, change: QoSLivelinessChangedInfo) -> None:
        # In the thread of what is not at a control rate: the arm's own looks at the flag.
        if change.alive_count_change < 0 and self._watching and not self.lost:
            self.lost = True
            self._logger.warning("an agent is gone in the middle of a reset: the arm halts")
