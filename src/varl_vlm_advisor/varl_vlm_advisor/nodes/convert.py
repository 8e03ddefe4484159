"""Between the messages of ``varl_interfaces`` and the core's types."""

from __future__ import annotations

import numpy as np
from varl_common.plan import Plan
from varl_common.ros.messages import from_frame_msg

from varl_interfaces import msg
from varl_interfaces.srv import GetAdvice, Judge
from varl_vlm_advisor.types import Advice, Answers, Pointing, State, Verdict


def from_state(message: msg.AdviceState) -> State:
    """A state with its frames."""
    return State(
        message.id,
        np.array(message.state, np.float32),
        np.array(message.action, np.float32),
        np.array(message.next_state, np.float32),
        message.reward,
        tuple(from_frame_msg(frame) for frame in message.frames),
    )


def moment(request: Judge.Request) -> State:
    """What is judged, as a state in which nothing is done."""
    state = np.array(request.state, np.float32)
    frames = tuple(from_frame_msg(frame) for frame in request.frames)
    return State(0, state, np.zeros(len(request.env.action_names), np.float32), state, 0.0, frames)


def to_verdict(verdict: Verdict, advisor: str, response: Judge.Response) -> Judge.Response:
    """Fill ``response``."""
    response.status, response.accomplished = int(verdict.status), verdict.accomplished
    response.reason, response.advisor = _text(verdict.reason), advisor
    return response


def to_response(answers: Answers, response: GetAdvice.Response) -> GetAdvice.Response:
    """Fill ``response``."""
    response.advice = [_advice(advice) for advice in answers.advice]
    response.advisor = answers.advisor
    if answers.plan is not None:
        response.plan = _plan(answers.plan)
    return response


def to_pointing_msg(pointing: Pointing) -> msg.Pointing:
    """The message of a pointing."""
    seen = pointing.pixel is not None
    x, y = (0.0, 0.0) if pointing.pixel is None else pointing.pixel.tolist()
    return msg.Pointing(status=int(pointing.status), visible=seen, x=x, y=y, reason=_text(pointing.reason))


def _text(words: str) -> str:
    """JSON can spell half a character, which no message holds."""
    return words.encode("utf-8", "replace").decode()


def _advice(advice: Advice) -> msg.Advice:
    action = [] if advice.action is None else advice.action.tolist()
    return msg.Advice(
        id=advice.id,
        status=int(advice.status),
        action=action,
        waypoints=[] if advice.waypoints is None else advice.waypoints.ravel().tolist(),
        confidence=float(advice.confidence),
        reason=_text(advice.reason),
    )


def _plan(plan: Plan) -> msg.Plan:
    message = msg.Plan(reason=_text(plan.reason))
    for phase in plan.phases:
        part = msg.PlanPhase(
            target=phase.target,
            gripper=float(phase.gripper),
            tolerance=float(phase.tolerance),
            opposite=phase.opposite,
            standoff=float(phase.standoff),
            align=phase.align,
            brings=phase.brings,
            to=phase.to,
            within=float(phase.within),
        )
        part.turn.x, part.turn.y, part.turn.z = (float(value) for value in phase.turn)
        part.offset.x, part.offset.y, part.offset.z = (float(value) for value in phase.offset)
        message.phases.append(part)
    return message
