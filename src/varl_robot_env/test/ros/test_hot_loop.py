import pytest

rclpy = pytest.importorskip("rclpy")

from std_msgs.msg import Empty  # noqa: E402
from varl_robot_env.ros.hot_loop import HotLoop  # noqa: E402


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
