"""Pointing over the graph: a model that points at the block in the picture sends the tool there, by the depth."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from varl_common.ros.messages import to_description_msg, to_frame_msg  # noqa: E402
from varl_robot_env.ros.ros_env import RosEnv  # noqa: E402
from varl_vlm_advisor.testing import server as serving  # noqa: E402

from varl_interfaces import msg  # noqa: E402
from varl_interfaces.srv import GetAdvice  # noqa: E402

DEADLINE = 20.0
STEPS = 5


def point_at_the_block(server: serving.Server, handler: serving.Handler, call: serving.Call) -> None:
    """Look at the picture that came, as a model would, and point at the middle of what is red."""
    (url,) = (part["image_url"]["url"] for part in call.body["messages"][-1]["content"] if part["type"] == "image_url")
    data = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
    picture: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
    blue, green, red = np.moveaxis(picture.astype(int), 2, 0)
    found, _, _, centres = cv2.connectedComponentsWithStats(((red - green > 80) & (red - blue > 80)).astype(np.uint8))
    assert found == 2, "one red thing"
    answer = {"id": call.asked_id, "reason": "the block", "can_tell": True, "phase": "at", "point": [*centres[1]]}
    handler.say(json.dumps(answer))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[serving.Server]:
    monkeypatch.setitem(serving.BEHAVIOURS, "points", point_at_the_block)
    with serving.Server("points") as running:
        yield running


def test_a_pixel_becomes_a_motion_towards_what_is_there(processes: Any, ros: int, server: serving.Server) -> None:
    processes.robot("lift")
    settings = {"backend": "openai", "strategy": "point", "votes": 1, "picture.draw_axes": False, "cache.mode": "off"}
    served = {"openai.base_url": server.url, "openai.model": "m"}
    advisor = processes.node("varl_vlm_advisor", "advisor", ("advisor.yaml",), **settings, **served)
    node = rclpy.create_node("test")
    env = RosEnv(node, timeout=30.0, capture=True)
    try:
        description = to_description_msg(env.description)
        client = node.create_client(GetAdvice, "advisor/get_advice")
        assert client.wait_for_service(DEADLINE), advisor.output
        for seed in range(3):
            state, info = env.reset(seed=seed)
            if not info["frames"]:
                pytest.skip("this machine cannot render")
            question = msg.AdviceState(state=state.tolist(), next_state=state.tolist())
            question.action = [0.0] * len(description.action_names)
            question.frames = [to_frame_msg(frame) for frame in info["frames"]]
            pending = client.call_async(GetAdvice.Request(env=description, states=[question], deadline=DEADLINE))
            executor = SingleThreadedExecutor()
            executor.add_node(node)
            executor.spin_until_future_complete(pending, DEADLINE + 10)
            executor.remove_node(node)
            (advice,) = pending.result().advice
            assert advice.status == msg.Advice.OK, advice.reason
            before = distance(description, state)
            for _ in range(STEPS):
                state, *_ = env.step(np.array(advice.action, np.float32))
            straight = STEPS * description.action_scale[0]  # what a motion along one axis covers
            assert before - distance(description, state) > 0.7 * straight
    finally:
        env.close()
        node.destroy_node()


def distance(description: msg.EnvDescription, state: np.ndarray) -> float:
    """Metres from the tool to the block."""
    names = list(description.entities)
    tool, block = (description.entity_indices[names.index(name)] for name in ("tool", "block"))
    return float(np.linalg.norm(state[block : block + 3] - state[tool : tool + 3]))
