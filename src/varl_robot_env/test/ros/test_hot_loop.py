"""The loop at a control rate waits: it takes a processor for itself, so what wakes it for nothing starves the rest."""

import pytest

pytest.importorskip("rclpy")
import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_msgs.msg import Bool, Empty
from varl_common.ros.qos import LATCHED, STATE
from varl_robot_env.arms.watched_topics import TopicSource
from varl_robot_env.ros.hot_loop import HotLoop

MOST = 50  # rounds in the time of five; one that is woken for nothing makes tens of thousands


@pytest.mark.usefixtures("ros")
def test_a_publisher_whose_qos_does_not_fit_does_not_keep_it_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    node, group = rclpy.create_node("hot"), MutuallyExclusiveCallbackGroup()
    heard: list[bool] = []
    subscriptions = [
        node.create_subscription(Bool, "estop", lambda message: heard.append(message.data), qos, callback_group=group)
        for qos in (LATCHED, STATE)
    ]
    publisher = node.create_publisher(Bool, "estop", 10)  # volatile: no latched subscription hears it
    loop = HotLoop(node, group)
    assert loop.spin_until(lambda: publisher.get_subscription_count() == 1, 30.0)
    assert loop.spin_until(lambda: TopicSource(node, subscriptions[:1]).mismatch() is not None, 30.0)
    publisher.publish(Bool(data=True))
    assert loop.spin_until(lambda: heard == [True], 30.0)
    rounds = 0

    def count(timeout: float, once: object = loop.spin_once) -> None:
        nonlocal rounds
        rounds += 1
        once(timeout)  # type: ignore[operator]

    monkeypatch.setattr(loop, "spin_once", count)
    loop.spin_until(lambda: False, 1.0)
    assert rounds < MOST


class Restless:
    """A wait set as it was seen: it returns at once, and nothing is ready."""

    def __init__(self) -> None:
        self.waits = 0

    def wait(self, timeout: int) -> None:
        self.waits += 1

    def is_ready(self, kind: str, index: int) -> bool:
        return False

    def clear_entities(self) -> None: ...

    def add_subscription(self, handle: object) -> None: ...

    def add_event(self, handle: object) -> int:
        return 0


def test_waits_that_bring_nothing_take_no_whole_core(ros: int) -> None:
    node = rclpy.create_node("restless")
    node.create_subscription(Empty, "something", lambda _: None, 1)
    loop = HotLoop(node, node.default_callback_group)
    loop.spin_once(0.0)
    restless = Restless()
    loop._entities = (list(node.subscriptions), [], [])
    loop._wait_set, loop._refresh = restless, lambda: None  # type: ignore[method-assign]
    assert not loop.spin_until(lambda: False, 0.2)
    assert 0 < restless.waits <= 200  # a millisecond each, however slow the machine
    node.destroy_node()
