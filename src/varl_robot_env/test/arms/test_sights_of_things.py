"""Whoever sees a thing may tell of it; one that nothing moves may be hidden, but somebody must go on telling."""

import time
from collections.abc import Iterator

import pytest

rclpy = pytest.importorskip("rclpy")
from geometry_msgs.msg import Pose, Quaternion  # noqa: E402
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup  # noqa: E402
from rclpy.node import Node  # noqa: E402
from varl_common.ros.qos import STATE  # noqa: E402
from varl_robot_env.arms.driver_inputs import DriverInputs  # noqa: E402
from varl_robot_env.arms.watched_topics import WatchedTopics  # noqa: E402
from varl_robot_env.config.paths import config_folder  # noqa: E402
from varl_robot_env.config.robot import RobotConfig  # noqa: E402
from varl_robot_env.ros.hot_loop import HotLoop  # noqa: E402

from varl_interfaces.msg import Entities  # noqa: E402

LATELY = 0.3  # s
PATIENCE = 20.0  # s


@pytest.fixture
def nodes(ros: int) -> Iterator[tuple[Node, Node]]:
    made = rclpy.create_node("env"), rclpy.create_node("perception")
    yield made
    for node in made:
        node.destroy_node()


def seen(*names: str) -> Entities:
    return Entities(names=list(names), poses=[Pose(orientation=Quaternion(w=1.0)) for _ in names])


def nearly_blind() -> RobotConfig:
    """An arm whose things count as unseen after a moment."""
    robot = RobotConfig.from_yaml(config_folder() / "robots" / "varl_arm.yaml")
    return robot.model_copy(update={"safety": robot.safety.model_copy(update={"entities_stale_after": LATELY})})


def test_what_two_cameras_see_is_seen(nodes: tuple[Node, Node]) -> None:
    node, perception = nodes
    group = MutuallyExclusiveCallbackGroup()
    watched = WatchedTopics(node, group)
    heard = DriverInputs(node, nearly_blind(), watched, ["block", "target"], None)
    loop, publishers = HotLoop(node, group), [perception.create_publisher(Entities, "entities", STATE) for _ in "ab"]
    end = time.monotonic() + PATIENCE
    while set(heard.entities()) != {"block", "target"}:
        assert time.monotonic() < end, heard.entities()
        for publisher, name in zip(publishers, ("block", "target"), strict=True):
            publisher.publish(seen(name))
        loop.spin_until(lambda: False, 0.02)


def test_a_still_thing_may_be_hidden_and_is_then_not_said_to_be_seen(nodes: tuple[Node, Node]) -> None:
    node, perception = nodes
    group = MutuallyExclusiveCallbackGroup()
    now = 0.0
    watched = WatchedTopics(node, group, clock=lambda: now)
    heard = DriverInputs(node, nearly_blind(), watched, ["block", "target"], None, still=["target"])
    loop, publisher = HotLoop(node, group), perception.create_publisher(Entities, "entities", STATE)

    def until(names: set[str], *published: str) -> None:
        end = time.monotonic() + PATIENCE
        while set(heard.entities()) != names:
            assert time.monotonic() < end, f"{set(heard.entities())} are seen, not {names}"
            publisher.publish(seen(*published))
            loop.spin_until(lambda: False, 0.02)

    def sight(what: str) -> str:
        standing = next(one for one in watched.inputs.standings() if one.name == f"sight of {what}")
        return standing.problem or ""

    until({"block", "target"}, "block", "target")
    until({"block"}, "block")
    now += 1.0
    assert "no sight of block for 1.00 s" in sight("block")
    assert not sight("target")
    perception.destroy_publisher(publisher)
    end = time.monotonic() + PATIENCE
    while "nobody publishes sight of target any more" not in sight("target"):
        assert time.monotonic() < end, sight("target")
        time.sleep(0.02)


def test_a_reset_waits_for_what_is_still_to_come_in_sight_and_not_for_ever(nodes: tuple[Node, Node]) -> None:
    node, perception = nodes
    group = MutuallyExclusiveCallbackGroup()
    heard = DriverInputs(node, nearly_blind(), WatchedTopics(node, group), ["target"], None, still=["target"])
    loop, publisher = HotLoop(node, group), perception.create_publisher(Entities, "entities", STATE)

    def wait(until: float) -> None:
        loop.spin_until(lambda: False, max(0.0, until - time.monotonic()))

    began = time.monotonic()
    heard.await_still(wait)
    assert time.monotonic() - began >= LATELY
    assert not heard.entities()
    end = time.monotonic() + PATIENCE
    while not heard.entities():
        assert time.monotonic() < end
        publisher.publish(seen("target"))
        heard.await_still(wait)
