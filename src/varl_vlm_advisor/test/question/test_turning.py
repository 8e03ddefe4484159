"""Questions about a tool that turns: words, picture and plan know its axes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from varl_common.env_description import EnvDescription
from varl_common.image_codec import decode_image
from varl_vlm_advisor.answer.motion import to_plan
from varl_vlm_advisor.question.prompt import Prompter
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.service.config import AdvisorConfig
from varl_vlm_advisor.types import State

ENTITIES = ["tool", "socket"]
ANGLES = {"tool_cos": np.cos(0.1), "tool_sin": np.sin(0.1), "socket_cos": np.cos(0.5), "socket_sin": np.sin(0.5)}
PHASE = {"target": "socket", "x": 0.0, "y": 0.0, "z": 0.1, "opposite": "", "standoff": 0.0, "gripper": "hold"}


@pytest.fixture
def turning(env: EnvDescription) -> EnvDescription:
    names = [f"{entity}_{axis}" for entity in ENTITIES for axis in "xyz"] + list(ANGLES)
    return replace(
        env,
        task="insert",
        observation_names=names,
        observation_units=[""] * len(names),
        observation_low=np.full(len(names), -1.0, np.float32),
        observation_high=np.full(len(names), 1.0, np.float32),
        action_names=["dx", "dy", "dz", "yaw"],
        action_units=["m", "m", "m", "rad"],
        action_scale=np.array([0.0125, 0.0125, 0.0125, 0.05]),
        entities=ENTITIES,
        entity_indices=[0, 3],
    )


@pytest.fixture
def moment(turning: EnvDescription, transition: Callable[..., State]) -> State:
    state = np.array([0.4, 0, 0.18, 0.42, 0.05, 0.0, *ANGLES.values()], np.float32)
    return replace(transition(), state=state, next_state=state, action=np.zeros(4, np.float32))


def ask(strategy: str, env: EnvDescription, state: State) -> Question:
    return Prompter(AdvisorConfig.from_dict({"strategy": strategy}, "test"), sees=True).question(env, state)


def test_directions_say_which_way_is_plus_and_how_the_things_are_turned(turning: EnvDescription, moment: State) -> None:
    text = ask("direction", turning, moment).text
    for part in (
        "- yaw: + turns the tool about the vertical, anticlockwise as seen from above, - clockwise",
        "large is 0.05 rad (2.9 degrees), small is 0.015 rad",
        '- "yaw": one of "-large", "-small", "0", "+small", "+large"',
        "- tool is turned by +6 degrees about z",
        "- socket is turned by +29 degrees about z, which from the tool is +23 degrees about z",
    ):
        assert part in text
    assert "tool_cos" not in text
    whole = replace(turning, action_names=["dx", "dy", "dz", "rx"])
    assert "- rx: + turns the tool about +x of base_link by the right hand" in ask("direction", whole, moment).text


def test_a_plan_turns_by_a_thing_and_an_angle(turning: EnvDescription, moment: State) -> None:
    question = ask("plan", turning, moment)
    assert "moves the tool along x, y, z of base_link, turns it about the vertical." in question.text
    assert '"align": one of "", "base", "socket"' in question.text
    said = {"id": question.id, "reason": "r", "can_tell": True}
    phase = {**PHASE, "tolerance": 0.01, "align": "socket", "yaw": 90.0}
    plan = to_plan(question.answer_model.model_validate({**said, "phases": [phase, {**phase, "align": ""}]}))
    assert (plan.phases[0].align, plan.phases[0].turn[2]) == ("socket", pytest.approx(np.pi / 2))
    assert plan.phases[1].turn == (0.0, 0.0, 0.0)
    plan.check(turning)
    with pytest.raises(ValueError, match="align"):
        question.answer_model.model_validate({**said, "phases": [{**phase, "align": "table"}]})


def test_a_tool_that_does_not_turn_is_asked_nothing_more(env: EnvDescription, transition: Callable[..., State]) -> None:
    question = ask("plan", env, transition())
    assert "align" not in question.text + str(question.schema)


def test_the_way_of_yaw_is_drawn(turning: EnvDescription, moment: State) -> None:
    straight = replace(turning, action_names=["dx", "dy", "dz", "rz"])
    with_yaw, without = (decode_image(ask("direction", env, moment).image) for env in (turning, straight))
    assert (np.abs(with_yaw.astype(int) - without).max(axis=2) > 60).sum() > 50
