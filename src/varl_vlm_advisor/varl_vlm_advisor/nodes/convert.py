"""Between the messages of ``varl_interfaces`` and the core's types."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from varl_common.plan import Plan

from varl_interfaces import msg
from varl_interfaces.srv import GetAdvice
from varl_vlm_advisor.question.projection import transform
from varl_vlm_advisor.types import Advice, Answers, EnvDescription, Frame, State


def from_env(message: msg.EnvDescription) -> EnvDescription:
    """The environment's description."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(EnvDescription):
        value = getattr(message, field.name)
        values[field.name] = list(value) if hasattr(value, "typecode") else value
    return EnvDescription(**values)


def from_state(message: msg.AdviceState) -> State:
    """A state with its frames."""
    return State(
        message.id,
        np.array(message.state, np.float32),
        np.array(message.action, np.float32),
        np.array(message.next_state, np.float32),
        message.reward,
        tuple(from_frame(frame) for frame in message.frames),
    )


def from_frame(message: msg.Frame) -> Frame:
    """A frame; a matrix or pose that is not known (all 0) becomes None."""
    k = np.array(message.k, np.float64).reshape(3, 3)
    pose = _transform(message.camera_pose)
    known = bool(np.isfinite(k).all() and k[0, 0] and k[1, 1])
    return Frame(message.camera, bytes(message.image.data), bytes(message.depth.data), k if known else None, pose)


def to_response(answers: Answers, response: GetAdvice.Response) -> GetAdvice.Response:
    """Fill ``response``."""
    response.advice = [_advice(advice) for advice in answers.advice]
    response.advisor = answers.advisor
    if answers.plan is not None:
        response.plan = _plan(answers.plan)
    return response


def _advice(advice: Advice) -> msg.Advice:
    action = [] if advice.action is None else advice.action.tolist()
    return msg.Advice(
        id=advice.id,
        status=int(advice.status),
        action=action,
        confidence=float(advice.confidence),
        reason=advice.reason.encode("utf-8", "replace").decode(),
    )


def _plan(plan: Plan) -> msg.Plan:
    message = msg.Plan(reason=plan.reason.encode("utf-8", "replace").decode())
    for phase in plan.phases:
        part = msg.PlanPhase(
            target=phase.target,
            gripper=float(phase.gripper),
            tolerance=float(phase.tolerance),
            opposite=phase.opposite,
            standoff=float(phase.standoff),
        )
        part.offset.x, part.offset.y, part.offset.z = (float(value) for value in phase.offset)
        message.phases.append(part)
    return message


def _transform(pose: Any) -> NDArray[np.float64] | None:
    x, y, z, w = (getattr(pose.orientation, name) for name in "xyzw")
    norm = float(np.sqrt(x * x + y * y + z * z + w * w))
    if not np.isfinite(norm) or norm < 1e-6:
        return None
    return transform([pose.position.x, pose.position.y, pose.position.z], [x, y, z, w])
