"""The right answers are right: parsed and carried out as a model's would be, they are what the expert does."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_vlm_advisor.answer.motion import to_action, to_pointing
from varl_vlm_advisor.answer.parsing import parse
from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.evaluation.worlds import ArmWorld, make_varied_world
from varl_vlm_advisor.question.config import QuestionConfig
from varl_vlm_advisor.question.places import PlacePrompter
from varl_vlm_advisor.question.pointing import to_pixel, to_point
from varl_vlm_advisor.question.projection import Projection
from varl_vlm_advisor.question.prompt import Prompter
from varl_vlm_advisor.training import scenes, teacher


@pytest.fixture(params=["reach", "push", "lift"])
def world(request: Any) -> Iterator[ArmWorld]:
    """Each of the project's own tasks, with depth, where this machine renders."""
    made = make_varied_world(request.param, depth=True, seed=1)
    made.reset(0)
    try:
        made.frame()
    except VarlError as error:
        pytest.skip(str(error))
    yield made
    made.close()


def test_pointing_says_what_the_expert_does(world: ArmWorld) -> None:
    asker = Prompter(QuestionConfig(strategy="point"), True, scenes.MODEL)
    agree, clear = 0, 0
    for seed in range(4):
        for transition, truth, expert, _ in scenes.transitions(world, np.random.default_rng(seed), seed):
            question = asker.question(world.env, transition)
            said = teacher.answer(question, truth, expert)
            if said is None:
                continue
            action = to_action(question, parse(question, Reply(said)), 0.0, behind=0.02)
            moves = np.abs(expert[:3]) > 0.5
            agree += int((np.sign(action[:3]) == np.sign(expert[:3]))[moves].sum())
            clear += int(moves.sum())
    assert clear > 50
    assert agree / clear > 0.85  # depth ends at what is in front of a place


def test_what_the_question_says_of_things_is_made_up(world: ArmWorld) -> None:
    for transition, truth, _, _ in scenes.transitions(world, np.random.default_rng(0), 3):
        tool, target = (world.env.position(name, transition.state) for name in ("tool", "target"))
        np.testing.assert_array_equal(tool, world.env.position("tool", truth))
        assert not np.array_equal(target, world.env.position("target", truth))


def test_an_answer_is_written_as_the_schema_has_it(world: ArmWorld) -> None:
    transition, truth, expert, _ = next(scenes.transitions(world, np.random.default_rng(1), 2))
    for strategy in ("point", "plan", "direction"):
        question = Prompter(QuestionConfig(strategy=strategy), True, scenes.MODEL).question(world.env, transition)
        said = teacher.answer(question, truth, expert)
        assert said is not None
        assert list(json.loads(said)) == list(question.schema["properties"])
        parse(question, Reply(said))


@pytest.mark.parametrize("convention", ["pixel", "percent", "thousand", "thousand_yx"])
def test_a_point_and_its_pixel(convention: str) -> None:
    pixel = np.array([123.0, 45.0])
    said = np.array(to_point(pixel, convention, 320, 240), float)
    np.testing.assert_allclose(to_pixel(said, convention, 320, 240), pixel, atol=1.7)


def test_what_is_asked_for_is_found_in_sight_or_not_at_all(world: ArmWorld) -> None:
    transition, _, _, sights = next(scenes.transitions(world, np.random.default_rng(1), 2))
    question = PlacePrompter(QuestionConfig(), scenes.MODEL).question(transition.frames[0], "the green ball")
    said = parse(question, Reply(teacher.found(question, "target", sights).answer))
    assert said.visible == ("target" in sights)
    if said.visible:
        pixel = to_pointing(question, said).pixel
        np.testing.assert_allclose(pixel, sights["target"], atol=1.0)  # px
    absent = parse(question, Reply(teacher.found(question, "", sights).answer))
    assert not absent.visible


def test_in_sight_is_where_a_thing_is(world: ArmWorld) -> None:
    world.reset(0)
    camera = world.frame()
    state = world.reset(0)
    view = Projection(320, 240, camera.k, camera.camera_pose)
    for name, pixel in world.in_sight().items():
        place = world.env.position(name, state)
        assert place is not None
        seen_at = view.pixel(place)
        assert seen_at is not None
        assert np.linalg.norm(seen_at - pixel) < 8  # px: a part of it may be hidden
