"""The backend ``scripted``: a stand-in for a VLM that reads the geometry off the state, with a set rate of errors.

It sees colours: asked where "the red block" is, it points at the largest patch of red.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from varl_common.advice_status import AdviceStatus
from varl_common.config import Config
from varl_common.env_description import TURNS, EnvDescription
from varl_common.image_codec import decode_image
from varl_common.plan import Phase, Plan
from varl_common.task_plans import PLANS, no_plan_for

from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.question.action_words import GRIPPER_WORDS, encode, words_of
from varl_vlm_advisor.question.pointing import to_point
from varl_vlm_advisor.question.question import PlaceQuestion, Question, StateQuestion
from varl_vlm_advisor.question.schema import MAX_WAYPOINTS, has_stages
from varl_vlm_advisor.question.verdicts import VERDICT
from varl_vlm_advisor.types import GRIPPER, TOOL, NoAdvice

_HUES = {"red": 4, "orange": 28, "yellow": 50, "green": 130, "blue": 220, "violet": 285}  # degrees
_HUE_WIDTH = 18  # degrees
_VIVID, _BRIGHT = 0.5, 0.2  # least saturation and value, of 1
_THERE = 0.04
"""Metres, the edge of the block of the project's own tasks: a thing so near to where it is to be counts as there."""
_CAME = 2.0
"""Of the last phase's tolerance: a tool so near counts as there."""
_LEAST_SHARE = 0.0003  # of the picture: 20 pixels of 320x240
_SLIPS_SEEN = 0.5
"""Of its wrong pointings so many are at anything; in the others it says that it sees nothing."""


class ScriptedBackend:
    """Answers from a fixed plan per task; each axis is wrong with probability ``error_rate``.

    The errors depend on seed and content alone: the same question always gets the same answer.
    """

    class Settings(Config):
        """Section ``scripted``."""

        error_rate: float = Field(default=0.1, ge=0.0, le=1.0, description="probability that an axis is wrong")
        point_error: float = Field(
            default=0.017, ge=0.0, le=0.5, description="standard deviation of a pointing per axis, share of the width"
        )
        seed: int = Field(default=0, ge=0, description="of the errors")

    label = "scripted (stand-in for a VLM)"
    sees: ClassVar[bool] = False
    identity = ""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def reply(self, question: Question, sample: int) -> Reply:
        """Answer in the words that a model would use."""
        if isinstance(question, PlaceQuestion):
            return Reply(json.dumps(self._place(question, sample)))
        assert isinstance(question, StateQuestion)
        env, plan = question.env, scripted_plan(question.env)
        if question.strategy == "point":
            raise NoAdvice(
                AdviceStatus.REFUSED, "the scripted advisor does not point: use strategy direction, trajectory or plan"
            )
        body: dict[str, Any] = {"id": question.id, "reason": f"scripted: {plan.reason}", "can_tell": True}
        rng = self._rng(question, sample)
        if question.strategy == VERDICT:
            wrong = rng.random() < self._settings.error_rate
            body["accomplished"] = bool(wrong ^ _has_come_to_its_end(plan, question))
        elif question.strategy == "plan":
            body["phases"] = [self._phase(phase, env, rng) for phase in plan.phases]
        elif question.strategy == "trajectory":
            body["waypoints"] = self._waypoints(plan, question, rng)
        else:
            action = plan.actions(question.state.state[None], env)[0]
            body |= {name: self._word(name, said, rng) for name, said in encode(action, env.action_names).items()}
        return Reply(json.dumps(body))

    async def close(self) -> None:
        """It holds nothing."""

    def _place(self, question: PlaceQuestion, sample: int) -> dict[str, Any]:
        """Where it sees the colour that the thing's words name; off by a model's error, now and then by a lot."""
        told = f"{self._settings.seed}/{sample}/{question.thing}".encode()
        rng = _content_rng(told + question.image)
        shown = question.projection
        assert shown is not None
        pixel = colour_patch(decode_image(question.image), question.thing)
        size = np.array([shown.width, shown.height])
        if rng.random() < self._settings.error_rate:
            pixel = rng.uniform([0, 0], size) if rng.random() < _SLIPS_SEEN else None
        body = {"id": question.id, "reason": "scripted: by its colour", "can_tell": True, "visible": pixel is not None}
        if pixel is None:
            return body | {"point": [0, 0]}
        pixel = np.clip(pixel + rng.normal(0.0, self._settings.point_error * shown.width, 2), 0, size - 1)
        return body | {"point": to_point(pixel, question.convention, shown.width, shown.height)}

    def _rng(self, question: StateQuestion, sample: int) -> np.random.Generator:
        told = f"{self._settings.seed}/{sample}/{question.env.task}/{question.strategy}".encode()
        transition = question.state
        return _content_rng(told + transition.state.tobytes() + transition.action.tobytes())

    def _word(self, name: str, right: str, rng: np.random.Generator) -> str:
        """``right``, or at the rate of errors a word of another direction."""
        values = words_of(name)
        wrong = [word for word, value in values.items() if np.sign(value) != np.sign(values[right])]
        return str(rng.choice(wrong)) if rng.random() < self._settings.error_rate else right

    def _waypoints(self, plan: Plan, question: StateQuestion, rng: np.random.Generator) -> list[dict[str, Any]]:
        """The places that the plan still has to go to in its stage, the things where they are now; one is off at the
        rate of errors by the block's size an axis."""
        env, states = question.env, question.state.state[None]
        places = plan.places(states, env)
        active = int(plan.phase_of(states, env, places)[0])
        words = {value: word for word, value in GRIPPER_WORDS.items()}
        waypoints: list[dict[str, Any]] = []
        ends = [k for k, phase in enumerate(plan.phases, 1) if k > active and phase.brings]
        end = min(ends, default=len(plan.phases))
        for phase, place in zip(plan.phases[active:end], places[active:end, 0], strict=True):
            off = np.where(rng.random(3) < self._settings.error_rate, rng.choice([-0.04, 0.04], 3), 0.0)
            x, y, z = (round(float(value), 4) for value in place + off)
            waypoints.append({"x": x, "y": y, "z": z, "gripper": words[phase.gripper]})
        return waypoints[:MAX_WAYPOINTS]

    def _phase(self, phase: Phase, env: EnvDescription, rng: np.random.Generator) -> dict[str, Any]:
        """A phase in the words of the answer; at the rate of errors its offset is off by the block's size, its
        turn by an eighth."""
        off = np.where(rng.random(3) < self._settings.error_rate, rng.choice([-0.04, 0.04], 3), 0.0)
        x, y, z = (round(float(value), 4) for value in np.asarray(phase.offset) + off)
        words = {value: word for word, value in GRIPPER_WORDS.items()}
        gripper = words[phase.gripper] if GRIPPER in env.action_names else "hold"
        turned: dict[str, Any] = {}
        if any(name in TURNS for name in env.action_names):
            askew = rng.choice([-45.0, 45.0]) if rng.random() < self._settings.error_rate else 0.0
            yaw = round(float(np.degrees(phase.turn[2])) + askew, 1) if phase.align else 0.0
            turned = {"align": phase.align, "yaw": yaw}
        subgoal = {"brings": phase.brings, "to": phase.to, "within": phase.within} if has_stages(env) else {}
        return turned | {
            "target": phase.target,
            "x": x,
            "y": y,
            "z": z,
            "opposite": phase.opposite,
            "standoff": phase.standoff,
            "gripper": gripper,
            "tolerance": phase.tolerance,
            **subgoal,
        }


def _has_come_to_its_end(plan: Plan, question: StateQuestion) -> bool:
    """Whether the plan's last stage has begun, and what it moves (a thing that it grasps or pushes, else the tool) is
    where its last phase goes to."""
    env, states, stage, last = question.env, question.state.state[None], plan.stages[-1], plan.phases[-1]
    grasped = [after.target for before, after in itertools.pairwise(stage) if before.gripper < 0 < after.gripper]
    moved = last.opposite or (grasped or [TOOL])[0]
    place, target = env.position(moved, states[0]), env.position(last.target, states[0])
    assert place is not None
    assert target is not None
    if np.linalg.norm(target + last.offset - place) > (_CAME * last.tolerance if moved == TOOL else _THERE):
        return False
    least = len(plan.phases) - (1 if moved == TOOL else len(stage))
    return int(plan.phase_of(states, env, plan.places(states, env))[0]) >= least


def colour_patch(rgb: NDArray[np.uint8], words: str) -> NDArray[np.float64] | None:
    """The middle (2,) px of the largest patch of the colour that ``words`` name; None where there is hardly any.

    Raises:
        NoAdvice: they name no colour that it knows.
    """
    named = [hue for name, hue in _HUES.items() if name in words.lower().split()]
    if not named:
        known = ", ".join(_HUES)
        raise NoAdvice(AdviceStatus.REFUSED, f"the scripted advisor sees colours only, {words!r} names none: {known}")
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
    away = np.abs((2 * hsv[..., 0].astype(int) - named[0] + 180) % 360 - 180)  # OpenCV halves the hue to fit a byte
    mask = (away < _HUE_WIDTH) & (hsv[..., 1] > _VIVID * 255) & (hsv[..., 2] > _BRIGHT * 255)
    _, _, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    if not areas.size or areas.max() < _LEAST_SHARE * mask.size:
        return None
    return np.asarray(centres[1 + int(areas.argmax())], np.float64)


def _content_rng(told: bytes) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(told).digest()[:8], "big"))


def scripted_plan(env: EnvDescription) -> Plan:
    """The plan for the task of ``env``.

    Raises:
        NoAdvice: there is none, or the environment lacks what it names.
    """
    plan = PLANS.get(env.task)
    if plan is None:
        raise NoAdvice(AdviceStatus.REFUSED, no_plan_for(env.task))
    missing = {"tool", *(name for phase in plan.phases for name in phase.things)}
    missing -= set(env.entities)
    if missing:
        raise NoAdvice(AdviceStatus.REFUSED, f"the state has no position of: {', '.join(sorted(missing))}")
    return plan
