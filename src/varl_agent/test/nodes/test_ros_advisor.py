"""The client of the advisor node: what it sends."""

import threading
import time
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from varl_agent.advice.guidance_buffer import GuidanceBuffer  # noqa: E402
from varl_agent.advice.messages import ADVICE_LIMIT, AdviceAnswer, AdviceQuery  # noqa: E402
from varl_agent.nodes.ros_advisor import RosAdvisor  # noqa: E402
from varl_common.frame import Frame  # noqa: E402
from varl_common.plan import Phase, Plan  # noqa: E402
from varl_common.trajectories import Trajectories  # noqa: E402

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


def test_the_waypoints_of_all_states_come_as_one_advice(node: Node) -> None:
    """By the service as in process; a row of another size than waypoints have, or refused, is left out."""

    def serve(request: GetAdvice.Request, response: GetAdvice.Response) -> GetAdvice.Response:
        ways = [[0.0, 0.1, 0.0, 1.0, 0.0, 0.2, float("nan"), 0.0], [0.0, 0.1, 0.0], [0.0, -0.1, 0.0, 1.0]]
        response.advice = [msg.Advice(id=i, action=[0.0, 1.0, 0.0], waypoints=way) for i, way in enumerate(ways)]
        response.advice[2].status = msg.Advice.REFUSED
        return response

    node.create_service(GetAdvice, "advisor/get_advice", serve)
    env = msg.EnvDescription(entities=["tool"], entity_indices=[0], action_names=["dx", "dy", "dz"])
    env.action_scale, env.observation_names = [0.01] * 3, ["tool_x", "tool_y", "tool_z"]
    client = RosAdvisor(node, env, 20.0, "advisor", wants_frames=True)
    assert client._client.wait_for_service(20.0)
    zeros = np.zeros((3, 3), np.float32)
    answer = client.ask(AdviceQuery(0, zeros, zeros, zeros, np.zeros(3, np.float32))).result(20.0)
    assert isinstance(answer.plan, Trajectories)
    assert answer.plan.waypoints[:, :, 1].tolist() == [[np.float32(0.1), np.float32(0.2)]]
    answer.plan.check(env)
    guidance = GuidanceBuffer(3)
    guidance.add(zeros, answer, 100)
    saved = GuidanceBuffer(3)
    saved.load_state_dict(guidance.state_dict())
    assert guidance.label(zeros, env).tolist()[0] == [0.0, np.float32(ADVICE_LIMIT), 0.0]
    assert np.array_equal(guidance.label(zeros, env), saved.label(zeros, env))


def test_a_plan_comes_with_all_that_its_phases_hold(node: Node) -> None:
    def serve(request: GetAdvice.Request, response: GetAdvice.Response) -> GetAdvice.Response:
        laid = msg.PlanPhase(target="tray", gripper=-1.0, tolerance=0.02, brings="block", to="tray", within=0.045)
        pushed = msg.PlanPhase(target="block", tolerance=0.01, opposite="tray", standoff=0.05, align="tray")
        pushed.offset.x, pushed.turn.z = 0.125, 0.5
        response.plan = msg.Plan(phases=[laid, pushed], reason="r")
        return response

    node.create_service(GetAdvice, "advisor/get_advice", serve)
    env = msg.EnvDescription(entities=["tool"], entity_indices=[0], action_names=["dx", "dy", "dz"])
    client = RosAdvisor(node, env, 20.0, "advisor", wants_frames=True)
    assert client._client.wait_for_service(20.0)
    nothing = np.zeros((0, 3), np.float32)
    plan = client.ask(AdviceQuery(0, nothing, nothing, nothing, nothing[:, 0])).result(20.0).plan
    assert plan is not None
    expected = Plan(
        (
            Phase("tray", gripper=-1.0, tolerance=0.02, brings="block", to="tray", within=0.045),
            Phase("block", (0.125, 0.0, 0.0), 0.0, 0.01, "tray", 0.05, "tray", (0.0, 0.0, 0.5)),
        ),
        "r",
    )
    assert [asdict(phase) for phase in plan.phases] == [pytest.approx(asdict(phase)) for phase in expected.phases]
    guidance = GuidanceBuffer(3)
    guidance.add(nothing, AdviceAnswer.of(nothing, "r", plan), 100)
    saved = GuidanceBuffer(3)
    saved.load_state_dict(guidance.state_dict())
    assert saved.plans[0][2] == plan


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
