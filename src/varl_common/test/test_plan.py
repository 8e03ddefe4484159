"""Plans: the phase of a state follows from the state alone."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_common.plan import Phase, Plan, vote
from varl_common.poses import rotation_of, rotation_vector

SCENE = SimpleNamespace(
    observation_names=["x", "y", "z", "gripper", "bx", "by", "bz", "tx", "ty", "tz"],
    observation_low=np.array([-1, -1, -1, 0, -1, -1, -1, -1, -1, -1], np.float32),
    observation_high=np.array([1, 1, 1, 0.04, 1, 1, 1, 1, 1, 1], np.float32),
    action_names=["dx", "dy", "dz", "gripper"],
    action_scale=np.array([0.01, 0.01, 0.01, 1.0]),
    entities=["tool", "block", "target"],
    entity_indices=[0, 4, 7],
)
LIFT = Plan(
    (
        Phase("block", (0.0, 0.0, 0.1), -1.0, 0.02),
        Phase("block", (0.0, 0.0, 0.0), -1.0, 0.02),
        Phase("block", (0.0, 0.0, 0.0), 1.0, 0.02),
        Phase("target", (0.0, 0.0, 0.0), 1.0, 0.02),
    ),
    "grasp from above",
)


def state(tool, block=(0.3, 0.0, 0.0), target=(0.3, 0.0, 0.2), gripper=0.04):
    return np.array([*tool, gripper, *block, *target], np.float32)


def test_each_stage_of_a_grasp_is_told_from_the_state():
    states = np.stack(
        [
            state((0.0, 0.0, 0.3)),  # far away
            state((0.31, 0.0, 0.1)),  # above the block
            state((0.3, 0.0, 0.05)),  # in the corridor down
            state((0.3, 0.0, 0.0)),  # at the block, open
            state((0.3, 0.0, 0.0), gripper=0.02),  # closed on it
            state((0.3, 0.0, 0.1), block=(0.3, 0.0, 0.1), gripper=0.02),  # carrying
            state((0.3, 0.0, 0.12), gripper=0.02),  # lost it on the way up
        ]
    )
    assert LIFT.phase_of(states, SCENE, LIFT.places(states, SCENE)).tolist() == [0, 1, 1, 2, 3, 3, 1]


def test_only_what_is_there_is_let_go():
    place = Plan((*LIFT.phases, Phase("target", (0.0, 0.0, 0.0), -1.0, 0.02)))
    there = (0.3, 0.0, 0.2)
    states = np.stack(
        [
            state(there),  # the block is elsewhere
            state(there, block=there, gripper=0.02),  # carried there
            state(there, block=there),  # and the gripper opens
        ]
    )
    assert place.phase_of(states, SCENE, place.places(states, SCENE)).tolist() == [0, 4, 4]


def test_actions_go_straight_at_the_place_and_slow_down_within_a_step():
    actions = LIFT.actions(np.stack([state((0.0, 0.0, 0.3)), state((0.295, 0.0, 0.1))]), SCENE)
    assert actions[0].tolist() == [1.0, 0.0, -1.0, -1.0]
    assert actions[1] == pytest.approx([0.5, 0.0, -1.0, -1.0], abs=1e-4)


def test_opposite_stands_behind_the_block_as_seen_from_the_target():
    push = Plan((Phase("block", opposite="target", standoff=0.05),))
    place = push.places(state((0, 0, 0), block=(0.3, 0.0, 0.0), target=(0.5, 0.0, 0.4))[None], SCENE)[0, 0]
    assert place == pytest.approx([0.25, 0.0, 0.0], abs=1e-6)


def test_three_plans_outvote_one_that_is_wrong():
    right, wrong = np.array([[0.8, 0.1]], np.float32), np.array([[-0.8, 0.8]], np.float32)
    assert vote([right, wrong, right]) == pytest.approx(right)


def test_a_plan_that_does_not_fit_the_scene_is_refused_in_a_sentence():
    with pytest.raises(VarlError, match=r"names 'lamp'.*known: tool, block, target"):
        Plan((Phase("lamp"),)).check(SCENE)
    with pytest.raises(VarlError, match="no phases"):
        Plan(()).check(SCENE)
    with pytest.raises(VarlError, match="not finite"):
        Plan((Phase("block", (float("nan"), 0.0, 0.0)),)).check(SCENE)
    LIFT.check(SCENE)


def test_a_plan_survives_json():
    assert Plan.from_dict(json.loads(json.dumps(LIFT.as_dict()))) == LIFT


TURNING = SimpleNamespace(
    observation_names=["x", "y", "z", "tool_cos", "tool_sin", "sx", "sy", "sz", "socket_cos", "socket_sin"],
    observation_low=np.full(10, -1.0, np.float32),
    observation_high=np.full(10, 1.0, np.float32),
    action_names=["dx", "dy", "dz", "yaw"],
    action_scale=np.array([0.01, 0.01, 0.01, 0.05]),
    entities=["tool", "socket"],
    entity_indices=[0, 5],
)
DOWN = Plan((Phase("socket", (0, 0, 0.1), align="socket"), Phase("socket", align="socket", turn=(0, 0, 0.1))))


def turned(tool: float, socket: float, height: float = 0.1) -> np.ndarray:
    return np.array([0, 0, height, np.cos(tool), np.sin(tool), 0, 0, 0, np.cos(socket), np.sin(socket)], np.float32)


def test_a_phase_turns_the_tool_the_short_way_and_the_next_waits_until_it_has():
    states = np.stack([turned(0.0, 0.5), turned(-3.0, 3.0), turned(0.45, 0.5), turned(0.5, 0.52)])
    actions = DOWN.actions(states, TURNING)
    assert DOWN.phase_of(states, TURNING, DOWN.places(states, TURNING)).tolist() == [0, 0, 1, 1]
    assert actions[:, 3] == pytest.approx([1.0, -1.0, 1.0, 1.0], abs=1e-3)
    assert actions[:, 2] == pytest.approx([0.0, 0.0, -1.0, -1.0], abs=1e-6)
    assert DOWN.actions(turned(0.5, 0.48)[None], TURNING)[0, 3] == pytest.approx(0.8, abs=1e-3)
    assert DOWN.actions(turned(0.56, 0.48)[None], TURNING)[0, 3] == pytest.approx(-0.8, abs=1e-3)


def test_a_whole_orientation_is_a_rotation_vector_and_base_is_as_at_home():
    names = [f"{name}_{axis}{part}" for name in ("tool", "t") for axis in "xy" for part in "xyz"]
    scene = SimpleNamespace(
        observation_names=["x", "y", "z", *names],
        observation_low=np.full(15, -1.0),
        observation_high=np.full(15, 1.0),
        action_names=["dx", "dy", "dz", "rx", "ry", "rz"],
        action_scale=np.array([0.01] * 3 + [0.5] * 3),
        entities=["tool", "t"],
        entity_indices=[0, 0],
    )
    tool, target = rotation_of([0.0, 0.0, 0.2]), rotation_of([0.3, 0.0, 0.0])
    state = np.concatenate([[0, 0, 0], tool[:, :2].T.ravel(), target[:, :2].T.ravel()]).astype(np.float32)[None]
    expected = rotation_vector(target @ tool.T) / (2 * 0.5)
    as_target, as_base = Plan((Phase("t", align="t"),)), Plan((Phase("t", align="base"),))
    assert as_target.actions(state, scene)[0, 3:] == pytest.approx(expected, abs=1e-5)
    assert as_base.actions(state, scene)[0, 3:] == pytest.approx([0, 0, -0.2], abs=1e-5)
    as_target.check(scene)
    assert Plan.from_dict(json.loads(json.dumps(DOWN.as_dict()))) == DOWN
    with pytest.raises(VarlError, match="turns the tool by 'block', of which the state tells no orientation"):
        Plan((Phase("block", align="block"),)).check(
            SimpleNamespace(**{**vars(SCENE), "observation_names": ["tool_cos"]})
        )
