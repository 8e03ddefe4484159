"""A plan of stages as a model says it in JSON, and through the service's message as the agent acts by it."""

import json
from dataclasses import asdict

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("rclpy")

from rclpy.serialization import deserialize_message, serialize_message
from varl_agent.advice.guidance_buffer import GuidanceBuffer
from varl_agent.advice.messages import ADVICE_LIMIT, AdviceQuery
from varl_agent.nodes.ros_advisor import _answer
from varl_common.advice_status import AdviceStatus
from varl_common.plan import Plan
from varl_vlm_advisor.answer.motion import to_plan
from varl_vlm_advisor.answer.parsing import parse
from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.nodes.convert import to_response
from varl_vlm_advisor.question.action_words import GRIPPER_WORDS
from varl_vlm_advisor.question.prompt import Prompter
from varl_vlm_advisor.service.config import AdvisorConfig
from varl_vlm_advisor.types import Advice, Answers, State

from benchmarks.advice.environments import LONG_TASKS, make_env
from benchmarks.advice.stages import LONG
from varl_interfaces.srv import GetAdvice

WORDS = {command: word for word, command in GRIPPER_WORDS.items()}


def in_words(plan: Plan) -> list[dict[str, object]]:
    """The phases as a model says them."""
    phases = []
    for phase in map(asdict, plan.phases):
        x, y, z = phase.pop("offset")
        del phase["align"], phase["turn"]
        phases.append(phase | {"x": x, "y": y, "z": z, "gripper": WORDS[phase["gripper"]]})
    return phases


@pytest.mark.parametrize("task", sorted(LONG_TASKS))
def test_what_a_model_says_is_what_the_agent_acts_by(task: str) -> None:
    env = make_env(task, 5)
    scene, state = env.get_wrapper_attr("description"), env.reset()[0]
    still = np.zeros(len(scene.action_names), np.float32)
    asked = State(0, state, still, state, 0.0, ())
    question = Prompter(AdvisorConfig.from_dict({"strategy": "plan"}, "test"), sees=True).question(scene, asked)
    body = {"id": question.id, "reason": "First one, then the other.", "can_tell": True, "phases": in_words(LONG[task])}
    plan = to_plan(parse(question, Reply(json.dumps(body))))
    plan.check(scene)
    advice = Advice(0, AdviceStatus.OK, plan.actions(state[None], scene)[0], 1.0, "")
    sent = serialize_message(to_response(Answers([advice], plan, "a model"), GetAdvice.Response()))
    query = AdviceQuery(0, state[None], still[None], state[None], np.zeros(1, np.float32))
    answer = _answer(deserialize_message(sent, GetAdvice.Response), query, len(still))
    assert answer.plan is not None
    assert [len(stage) for stage in answer.plan.stages] == [len(stage) for stage in LONG[task].stages]
    guidance = GuidanceBuffer(len(still))
    guidance.add(state[None], answer, 0)
    stages, ended = set(), False
    info: dict[str, bool] = {}
    begins = len(answer.plan.stages[0])
    while not ended:
        action = answer.plan.actions(state[None], scene)[0]
        assert action == pytest.approx(LONG[task].actions(state[None], scene)[0], abs=1e-3)
        label = guidance.label(state[None], scene)[0]
        assert label == pytest.approx(action.clip(-ADVICE_LIMIT, ADVICE_LIMIT), abs=1e-3)
        stages.add(int(answer.plan.phase_of(state[None], scene, answer.plan.places(state[None], scene))[0]) >= begins)
        state, _, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
    assert stages == {False, True}
    assert info["is_success"]
