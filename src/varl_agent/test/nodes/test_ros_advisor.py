"""The client of the advisor node: what it sends."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from varl_agent.advice.messages import AdviceQuery  # noqa: E402
from varl_agent.nodes.ros_advisor import RosAdvisor  # noqa: E402
from varl_common.frame import Frame  # noqa: E402

from varl_interfaces import msg  # noqa: E402
from varl_interfaces.srv import GetAdvice  # noqa: E402

STATES = 64
JPEG = b"\xff\xd8" + bytes(1000)


@pytest.fixture
def node(ros: int) -> Iterator[Node]:
    """A node that is spun, with two services of the advisor's in it."""
    node = rclpy.create_node("advisor")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin, daemon=True)
    spinning.start()
    yield node
    executor.shutdown()
    spinning.join(5)
    node.destroy_node()


@pytest.mark.parametrize(("strategy", "pictures"), [("plan", 1), ("direction", STATES - 1)])
def test_a_plan_is_asked_with_one_picture(node: Node, strategy: str, pictures: int) -> None:
    received: list[GetAdvice.Request] = []

    def serve(request: GetAdvice.Request, response: GetAdvice.Response) -> GetAdvice.Response:
        received.append(request)
        return response

    node.create_service(GetAdvice, "advisor/get_advice", serve)
    node.declare_parameter("strategy", strategy)
    env = msg.EnvDescription(entities=["tool"], entity_indices=[0], action_names=["dx", "dy", "dz"])
    env.action_scale = [0.01] * 3
    client = RosAdvisor(node, env, 20.0, "advisor", wants_frames=True)
    assert client._client.wait_for_service(20.0)
    assert client._parameters.wait_for_service(20.0)
    client.look_up_strategy()
    end = time.monotonic() + 20.0
    while client._plans is None and time.monotonic() < end:
        time.sleep(0.01)
    zeros = np.zeros((STATES, 3), np.float32)
    frames = [None, *([Frame("camera", JPEG)] for _ in range(STATES - 1))]
    client.ask(AdviceQuery(0, zeros, zeros, zeros, np.zeros(STATES, np.float32), frames)).result(20.0)
    (request,) = received
    assert len(request.states) == STATES
    assert sum(bool(state.frames) for state in request.states) == pictures
    assert request.states[1].frames
