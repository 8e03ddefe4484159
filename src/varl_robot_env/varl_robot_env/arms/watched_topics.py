"""Topics that must be heard before an arm moves, and while it does: the only way in for an input."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from std_msgs.msg import Bool
from varl_common.ros.qos import LATCHED, STATE

from varl_robot_env.config.driver import EstopConfig
from varl_robot_env.safety.inputs import InputRule, Inputs, Values

Take = Callable[[Values], bool]


class WatchedTopics:
    """Subscribes on behalf of :class:`~varl_robot_env.safety.inputs.Inputs`.

    Attributes:
        inputs: whether all of it was heard, lately, and is good.
    """

    def __init__(
        self,
        node: Node,
        group: CallbackGroup,
        on_fault: Callable[[InputRule, str], None] = lambda rule, reason: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``group``: of all callbacks. ``on_fault`` is told at once of what is wrong."""
        self._node, self._group = node, group
        self.inputs = Inputs(on_fault, clock)

    def watch(self, rule: InputRule, kind: Any, topic: str, qos: QoSProfile, read: Callable[[Any], Values]) -> None:
        """An input that has a topic of its own; ``read`` takes its numbers from a message."""

        def on_message(takes: Sequence[Take], message: Any) -> None:
            takes[0](read(message))

        self.watch_all([rule], kind, topic, [qos], on_message)

    def watch_all(
        self,
        rules: Sequence[InputRule],
        kind: Any,
        topic: str,
        qualities: Sequence[QoSProfile],
        on_message: Callable[[Sequence[Take], Any], None],
    ) -> None:
        """Inputs that share a topic, subscribed to with each of ``qualities``; ``on_message`` gives each the numbers
        that are its own."""
        takes: list[Take] = []
        subscribe = partial(self._node.create_subscription, kind, topic, callback_group=self._group)
        callback = partial(on_message, takes)
        subscriptions = [subscribe(callback=callback, qos_profile=quality) for quality in qualities]
        source = TopicSource(self._node, subscriptions)
        takes += [self.inputs.add(rule, source) for rule in rules]

    def watch_estop(self, estop: EstopConfig, required: bool) -> None:
        """An emergency stop; one that is not ``required`` need not be there."""
        topic = self._node.resolve_topic_name(estop.topic)
        rule = InputRule(
            f"emergency stop {topic}",
            ("data",),
            f"see that {topic} is published" + (" again and again" if estop.stale_after else ""),
            estop.stale_after,
            lambda values: f"the emergency stop {topic} is pressed" if values[0] else None,
            required,
            emergency=True,
        )

        def on_message(takes: Sequence[Take], message: Bool) -> None:
            takes[0]([message.data])

        # Whoever stops an arm does not ask first whether the topic is latched.
        self.watch_all([rule], Bool, topic, [LATCHED, STATE], on_message)


class TopicSource:
    """A :class:`~varl_robot_env.safety.inputs.Source`: one topic's publishers, heard by one or more subscriptions."""

    def __init__(self, node: Node, subscriptions: Sequence[Any]) -> None:
        """``subscriptions``: of the same topic, each with a QoS of its own."""
        self._node, self._subscriptions = node, subscriptions

    def count(self) -> int:
        return max(subscription.get_publisher_count() for subscription in self._subscriptions)

    def mismatch(self) -> str | None:
        topic = self._subscriptions[0].topic_name
        for publisher in self._node.get_publishers_info_by_topic(topic):
            reasons = [_unheard(publisher.qos_profile, one.qos_profile) for one in self._subscriptions]
            if all(reasons):
                who = f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
                return f"{who} publishes {topic} with a QoS that cannot be heard ({reasons[-1]}); change one of the two"
        return None


def _unheard(offered: QoSProfile, asked: QoSProfile) -> str:
    """Why a subscription that asks for one QoS does not hear a publisher that offers another; empty where it does."""
    compatibility, reason = qos_check_compatible(offered, asked)
    return reason.strip().rstrip(";") or "incompatible" if compatibility == QoSCompatibility.ERROR else ""
