"""Pointing: a pixel becomes a place, and the place a motion."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from varl_common.env_description import EnvDescription
from varl_common.frame import Frame
from varl_vlm_advisor.answer.motion import HOVER, lift, to_action
from varl_vlm_advisor.question.pointing import Convention
from varl_vlm_advisor.question.prompt import Prompter
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.service.config import AdvisorConfig
from varl_vlm_advisor.types import NoAdvice, State

PLACE = np.array([0.4, 0.1, 0.02])
MakeTransition = Callable[..., State]


def ask(env: EnvDescription, state: State, convention: str = "pixel") -> Question:
    config = AdvisorConfig.from_dict({"strategy": "point", "convention": convention, "picture": {"width": 320}}, "test")
    return Prompter(config, sees=True).question(env, state)


def with_depth(frame: Frame, metres: float) -> Frame:
    depth = np.full((480, 640), round(metres * 1000), np.uint16)
    return replace(frame, depth=cv2.imencode(".png", depth)[1].tobytes())


def spoken(question: Question, convention: str) -> np.ndarray:
    """PLACE in the coordinates of a model's family."""
    assert question.projection is not None
    pixel = question.projection.pixel(PLACE)
    assert pixel is not None
    share = pixel / [question.projection.width - 1, question.projection.height - 1]
    spoken = {"percent": share * 100, "thousand": share * 1000, "thousand_yx": share[::-1] * 1000}
    return spoken.get(convention, pixel)


@pytest.mark.parametrize("convention", get_args(Convention))
def test_each_family_points_at_the_same_place(env: EnvDescription, transition: MakeTransition, convention: str) -> None:
    question = ask(env, transition(), convention)
    assert lift(question, spoken(question, convention), surface_height=0.02) == pytest.approx(PLACE, abs=1e-6)


def test_depth_goes_before_the_surface(env: EnvDescription, transition: MakeTransition, frame: Frame) -> None:
    assert frame.camera_pose is not None
    ahead = (PLACE - frame.camera_pose[:3, 3]) @ frame.camera_pose[:3, 2]
    question = ask(env, replace(transition(), frames=(with_depth(frame, float(ahead)),)))
    assert lift(question, spoken(question, "pixel"), surface_height=0.5) == pytest.approx(PLACE, abs=0.001)


@pytest.mark.parametrize(("surface", "above"), [(None, False), (-0.02, False), (PLACE[2], True)])
def test_a_things_middle_is_behind_what_is_seen_of_it_and_above_the_surface_on_which_it_stands(
    env: EnvDescription, transition: MakeTransition, frame: Frame, surface: float | None, above: bool
) -> None:
    assert frame.camera_pose is not None
    ahead = (PLACE - frame.camera_pose[:3, 3]) @ frame.camera_pose[:3, 2]
    question = ask(env, replace(transition(), frames=(with_depth(frame, float(ahead)),)))
    sight = (PLACE - frame.camera_pose[:3, 3]) / np.linalg.norm(PLACE - frame.camera_pose[:3, 3])
    place = lift(question, spoken(question, "pixel"), surface, behind=0.02)
    assert place == pytest.approx(PLACE + 0.02 * (np.array([0.0, 0.0, 1.0]) if above else sight), abs=0.001)


@pytest.mark.parametrize(("behind", "missed"), [(0.3, True), (0.03, False)])
def test_a_small_thing_that_was_just_missed_is_meant_not_what_is_behind_it(
    env: EnvDescription, transition: MakeTransition, frame: Frame, behind: float, missed: bool
) -> None:
    assert frame.camera_pose is not None
    ahead = float((PLACE - frame.camera_pose[:3, 3]) @ frame.camera_pose[:3, 2])
    question = ask(env, transition())
    x, y = (2 * spoken(question, "pixel")).astype(int)  # of 640 pixels in width, where the question's picture has 320
    depth = np.full((480, 640), round((ahead + behind) * 1000), np.uint16)
    depth[y - 6 : y + 6, x + 5 : x + 17] = round(ahead * 1000)  # it begins 5 pixels beside the point
    seen = replace(frame, depth=cv2.imencode(".png", depth)[1].tobytes())
    question = ask(env, replace(transition(), frames=(seen,)))
    place = lift(question, spoken(question, "pixel"), surface_height=0.5)
    depth_there = float((place - frame.camera_pose[:3, 3]) @ frame.camera_pose[:3, 2])
    assert depth_there == pytest.approx(ahead if missed else ahead + behind, abs=0.002)


@pytest.mark.parametrize(
    ("phase", "towards", "gripper"),
    [
        ("above", PLACE + np.array([0, 0, HOVER]), -1.0),
        ("at", PLACE, 0.0),
        ("grasp", PLACE, 1.0),
        ("release", PLACE, -1.0),
        ("lift", None, 1.0),
    ],
)
def test_a_phase_is_a_motion(
    env: EnvDescription, transition: MakeTransition, phase: str, towards: Any, gripper: float
) -> None:
    tool = np.array([0.405, 0.1, 0.07])
    question = ask(env, transition(tool=tool))
    answer = question.answer_model.model_validate(
        {"id": 1, "reason": "", "can_tell": True, "phase": phase, "point": list(spoken(question, "pixel"))}
    )
    action = to_action(question, answer, surface_height=0.02)
    goal = tool + np.array([0, 0, HOVER]) if towards is None else towards
    assert action[:3] == pytest.approx(np.clip((goal - tool) / 0.0125, -1, 1), abs=0.01)
    assert action[3] == gripper


def test_without_depth_or_surface_it_refuses(env: EnvDescription, transition: MakeTransition) -> None:
    question = ask(env, transition())
    with pytest.raises(NoAdvice, match="surface_height is not set"):
        lift(question, spoken(question, "pixel"), None)


def test_a_hole_in_the_depth_falls_back(env: EnvDescription, transition: MakeTransition, frame: Frame) -> None:
    question = ask(env, replace(transition(), frames=(with_depth(frame, 0.0),)))
    assert lift(question, spoken(question, "pixel"), surface_height=0.02) == pytest.approx(PLACE, abs=1e-6)


def test_pointing_needs_a_calibrated_picture(env: EnvDescription, transition: MakeTransition, frame: Frame) -> None:
    for state in (transition(pictured=False), replace(transition(), frames=(Frame("camera", frame.jpeg),))):
        with pytest.raises(NoAdvice, match="calibration"):
            ask(env, state)
