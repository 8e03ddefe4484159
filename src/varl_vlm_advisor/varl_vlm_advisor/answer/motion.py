"""From a validated answer to what the robot would do: words to an action, a pixel to a motion, phases to a plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from varl_common.advice_status import AdviceStatus
from varl_common.frame import Frame
from varl_common.image_codec import decode_depth
from varl_common.plan import Phase, Plan

from varl_vlm_advisor.question.action_words import GRIPPER_WORDS, decode
from varl_vlm_advisor.question.pointing import to_pixel
from varl_vlm_advisor.question.question import PlaceQuestion, StateQuestion
from varl_vlm_advisor.types import GRIPPER, TOOL, NoAdvice, Pointing

HOVER = 0.10
"""Metres above a point at which the tool hovers, and that it rises to lift."""
CARRY = 0.05
"""Metres above a point to which something held is brought."""
_DEPTH_WINDOW = 2
"""Pixels around a point whose median depth counts: single pixels are often holes."""
_ON_SURFACE = 0.01
"""Metres above a surface up to which what depth tells is the surface itself."""
_MISSED, _FRONT, _STEP = 0.02, 5, 0.06
"""A model that points at a small thing often just misses it, and the depth there is that of what is behind. Within this
share of the picture's width, this percentile of the depths is taken where it is so many metres nearer."""

# What each phase of a point does: metres from the point (None: from the tool), and the gripper's command.
_POINT_MOTIONS: dict[str, tuple[float | None, float]] = {
    "above": (HOVER, -1.0),
    "at": (0.0, 0.0),
    "grasp": (0.0, 1.0),
    "carry": (CARRY, 1.0),
    "release": (0.0, -1.0),
    "lift": (None, 1.0),
}


def to_action(
    question: StateQuestion, answer: Any, surface_height: float | None, behind: float = 0.0
) -> NDArray[np.float32]:
    """The action, shape (n,) in [-1, 1], that an answer to ``direction`` or ``point`` asks for.

    ``surface_height``, ``behind``: of what is pointed at, as :func:`lift` has it.

    Raises:
        NoAdvice: a point that cannot be lifted to 3-D.
    """
    if question.strategy == "direction":
        return decode(answer.model_dump(), question.env.action_names)
    return _towards_point(question, answer, surface_height, behind)


def to_waypoints(answer: Any) -> NDArray[np.float32]:
    """(k, 4) of an answer to ``trajectory``: x, y, z, metres, and the gripper's opening, nan where it is to stay."""
    opening = {word: (1.0 - command) / 2 if command else np.nan for word, command in GRIPPER_WORDS.items()}
    return np.array([(said.x, said.y, said.z, opening[said.gripper]) for said in answer.waypoints], np.float32)


def to_plan(answer: Any) -> Plan:
    """The plan that an answer to ``plan`` holds."""
    return Plan(tuple(map(_phase, answer.phases)), answer.reason)


def _phase(said: Any) -> Phase:
    place, gripper = (said.x, said.y, said.z), GRIPPER_WORDS[said.gripper]
    phase = Phase(said.target, place, gripper, said.tolerance, said.opposite, said.standoff)
    if getattr(said, "align", ""):
        phase = replace(phase, align=said.align, turn=(0.0, 0.0, float(np.radians(said.yaw))))
    if getattr(said, "brings", "") or getattr(said, "to", ""):
        phase = replace(phase, brings=said.brings, to=said.to, within=said.within)
    return phase


def to_pointing(question: PlaceQuestion, answer: Any) -> Pointing:
    """Where the thing is, in pixels of the frame that the question's picture was made of.

    Raises:
        NoAdvice: it points outside of the picture.
    """
    if not answer.visible:
        return Pointing(AdviceStatus.OK, None, answer.reason)
    shown = question.projection
    assert shown is not None
    pixel = to_pixel(np.asarray(answer.point), question.convention, shown.width, shown.height)
    if not shown.holds(pixel):
        raise NoAdvice(AdviceStatus.INVALID, f"answer not usable: it points at {answer.point}, outside the picture")
    # A pixel's number is that of its middle: the edge of the picture is at -0.5.
    scaled = (pixel + 0.5) * question.whole / [shown.width, shown.height] - 0.5
    return Pointing(AdviceStatus.OK, scaled, answer.reason)


def _towards_point(
    question: StateQuestion, answer: Any, surface_height: float | None, behind: float
) -> NDArray[np.float32]:
    env = question.env
    tool = env.position(TOOL, question.state.state)
    if tool is None:
        raise NoAdvice(AdviceStatus.REFUSED, "pointing needs the tool's position in the state")
    above, gripper = _POINT_MOTIONS[answer.phase]
    if above is None:
        goal = tool + np.array([0.0, 0.0, HOVER])
    else:
        goal = lift(question, np.asarray(answer.point), surface_height, behind) + np.array([0.0, 0.0, above])
    action = np.zeros(len(env.action_names), np.float32)
    for index in env.translations:
        axis = "xyz".index(env.action_names[index][-1])
        action[index] = np.clip((goal - tool)[axis] / env.action_scale[index], -1.0, 1.0)
    if GRIPPER in env.action_names:
        action[env.action_names.index(GRIPPER)] = gripper
    return action


def lift(
    question: StateQuestion, point: NDArray[np.float64], surface_height: float | None, behind: float = 0.0
) -> NDArray[np.float64]:
    """The place in the base frame, shape (3,) m, at which the model points, by depth or else on a known surface.

    Depth tells of what a thing shows; ``behind`` is from there to its middle along the line of sight, m. What is seen
    at ``surface_height`` is no thing, but the surface on which things stand, with their middle as far above it.

    Raises:
        NoAdvice: neither is to be had there.
    """
    projection = question.projection
    assert projection is not None
    pixel = to_pixel(point, question.convention, projection.width, projection.height)
    if not projection.holds(pixel):
        raise NoAdvice(AdviceStatus.INVALID, f"answer not usable: it points at {point.tolist()}, outside the picture")
    share = pixel / [projection.width, projection.height]
    depth = _depth(question.frame, share)
    if depth > 0:
        shown = projection.point_at_depth(pixel, depth)
        if surface_height is not None and shown[2] < surface_height + _ON_SURFACE:
            return shown + np.array([0.0, 0.0, behind])
        sight = shown - projection.point_at_depth(pixel, 0.0)
        return shown + behind * sight / np.linalg.norm(sight)
    if surface_height is None:
        raise NoAdvice(AdviceStatus.REFUSED, "no depth at the point, and surface_height is not set")
    place = projection.point_at_height(pixel, surface_height)
    if place is None:
        raise NoAdvice(AdviceStatus.INVALID, "answer not usable: it points above the surface's horizon")
    return place


def _depth(frame: Frame | None, share: NDArray[np.float64]) -> float:
    """Metres at ``share`` (0..1 of width and height) of the frame's depth picture; 0 where it has none."""
    image = decode_depth(frame.depth) if frame is not None else None
    if image is None:
        return 0.0
    x, y = (share * [image.shape[1], image.shape[0]]).astype(int)
    at, around = (_around(image, x, y, reach) for reach in (_DEPTH_WINDOW, round(_MISSED * image.shape[1])))
    if not at.size:
        return 0.0
    here, front = float(np.median(at)) / 1000.0, float(np.percentile(around, _FRONT)) / 1000.0
    return front if here - front > _STEP else here


def _around(image: NDArray[np.uint16], x: int, y: int, reach: int) -> NDArray[np.uint16]:
    """The depths that are known within ``reach`` pixels."""
    window = image[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
    return window[window > 0]
