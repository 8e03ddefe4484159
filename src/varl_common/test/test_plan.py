"""Plans: the phase of a state follows from the state alone."""

import json
import re
from dataclasses import replace
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
    LIFT.check(SCENE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"offset": (float("nan"), 0.0, 0.0)},
        {"offset": (3e38, 0.0, 0.0)},  # finite as float32, but not its square
        {"offset": (0.1, 0.2)},
        {"turn": (0.0, 0.0, 0.0, 1.0)},
        {"standoff": 1e39},  # finite, but not as float32
        {"gripper": 1e300},
        {"tolerance": None},
        {"tolerance": 0.0},
    ],
)
def test_a_plan_with_a_number_that_cannot_be_is_refused_in_a_sentence(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(VarlError, match=re.escape(f"{name}={value!r}") + ".*; expected finite numbers of at most 1000"):
        Plan((Phase("block", **wrong),)).check(SCENE)


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        ("a table", "description, of type str, lacks observation_names, .*; expected a .*EnvDescription"),
        (
            {"entities": ["gripper", "block", "target"]},
            r"description.entities is \['gripper', .*, expected 'tool' among",
        ),
        ({"entity_indices": [0, 4]}, r"description.entity_indices is \[0, 4\], expected 3, one of each of entities"),
        ({"action_scale": [0.01]}, r"description.action_scale is \[0.01\], expected 4, one of each of action_names"),
    ],
)
def test_a_scene_that_no_plan_can_be_about_is_refused_in_a_sentence(scene, said):
    described = scene if isinstance(scene, str) else SimpleNamespace(**{**vars(SCENE), **scene})
    with pytest.raises(VarlError, match=said):
        Plan((Phase("block"),)).check(described)


def test_a_plan_survives_json():
    assert Plan.from_dict(json.loads(json.dumps(LIFT.as_dict()))) == LIFT
    numpys = Phase("block", np.zeros(3, np.float32), np.float32(-1.0), np.float64(0.02), turn=tuple(np.zeros(3)))
    pythons = Phase("block", (0.0, 0.0, 0.0), -1.0, 0.02)
    assert Plan.from_dict(json.loads(json.dumps(Plan((numpys,)).as_dict()))) == Plan((pythons,))


ERRANDS = SimpleNamespace(
    observation_names=[*SCENE.observation_names, "lx", "ly", "lz"],
    observation_low=np.append(SCENE.observation_low, np.full(3, -1, np.float32)),
    observation_high=np.append(SCENE.observation_high, np.full(3, 1, np.float32)),
    action_names=SCENE.action_names,
    action_scale=SCENE.action_scale,
    entities=["tool", "block", "target", "lid"],
    entity_indices=[0, 4, 7, 10],
)
LIFT_THEN_LID = Plan(
    (
        *LIFT.phases[:-1],
        replace(LIFT.phases[-1], brings="block", to="target", within=0.03),
        Phase("lid", (0.0, 0.0, 0.1), -1.0, 0.02),
        Phase("lid", (0.0, 0.0, 0.0), -1.0, 0.02),
        Phase("lid", (0.0, 0.0, 0.0), 1.0, 0.02),
        Phase("target", (0.0, 0.0, 0.1), 1.0, 0.02, brings="lid", to="target", within=0.12),
        Phase("block", (0.0, 0.0, 0.1)),
    )
)
LIFTED, LID = (0.3, 0.0, 0.2), (0.0, 0.4, 0.0)


def errand(tool, block=LIFTED, lid=LID, gripper=0.04):
    return np.array([*state(tool, block, gripper=gripper), *lid], np.float32)


def phases(*states, plan=LIFT_THEN_LID):
    stacked = np.stack(states)
    return plan.phase_of(stacked, ERRANDS, plan.places(stacked, ERRANDS)).tolist()


def test_a_later_stage_begins_where_the_sub_goal_holds_wherever_the_tool_is():
    assert [len(stage) for stage in LIFT_THEN_LID.stages] == [4, 4, 1]
    at_the_lid = (0.0, 0.4, 0.05)
    assert phases(errand(at_the_lid, block=(0.3, 0.0, 0.16))) == [0], "the block is 4 cm from the target"
    assert phases(errand(LIFTED, gripper=0.02)) == [4], "the tool still holds the block"
    assert phases(errand((0.6, 0.6, 0.6))) == [4]
    assert phases(errand(at_the_lid)) == [5]


def test_a_lost_sub_goal_falls_back_to_the_stage_that_brings_it_about():
    carries = errand((0.1, 0.1, 0.1), lid=(0.1, 0.1, 0.1), gripper=0.02)
    fallen = errand((0.1, 0.1, 0.1), lid=(0.1, 0.1, 0.1), gripper=0.02, block=(0.3, 0.0, 0.0))
    over_it = errand((0.3, 0.0, 0.1), block=(0.3, 0.0, 0.0))
    assert phases(carries, fallen, over_it) == [7, 0, 1]
    assert LIFT_THEN_LID.actions(fallen[None], ERRANDS).tolist() == LIFT.actions(fallen[None, :10], SCENE).tolist()


def test_what_one_stage_grasped_is_none_of_the_next_one_s():
    knock = Plan((*LIFT_THEN_LID.phases[:4], Phase("lid", (0.0, 0.0, 0.1), 1.0), Phase("lid", gripper=1.0)))
    assert phases(errand((0.0, 0.4, 0.05)), errand((0.0, 0.4, 0.2)), plan=knock) == [5, 4], "without the block"
    assert phases(errand(LID, gripper=0.02), errand(LID)) == [7, 6], "held, and not yet"


def test_the_last_sub_goal_decides_even_where_one_before_it_is_undone():
    closed = {"lid": (0.3, 0.0, 0.3)}
    assert phases(errand((0.0, 0.0, 0.0), **closed), errand((0.0, 0.0, 0.0), block=(0.3, 0.0, 0.0), **closed)) == [8, 8]


def test_the_stages_that_lie_behind_are_those_up_to_the_last_sub_goal_that_holds():
    on_it, undone = (0.3, 0.0, 0.3), (0.3, 0.0, 0.0)
    states = np.stack([errand(LIFTED, block=undone), errand(LIFTED), errand(LIFTED, lid=on_it)])
    assert LIFT_THEN_LID.stages_done(states, ERRANDS).tolist() == [0, 1, 2]
    assert LIFT_THEN_LID.stages_done(errand(LIFTED, block=undone, lid=on_it)[None], ERRANDS).tolist() == [2]
    assert LIFT.stages_done(states, ERRANDS).tolist() == [0, 0, 0], "it has but one"


def test_the_sub_goal_of_a_last_phase_changes_nothing():
    ends = Plan((*LIFT.phases[:-1], replace(LIFT.phases[-1], brings="block", to="target", within=0.03)))
    ends.check(SCENE)
    assert len(ends.stages) == 1
    states = np.stack([state((0.0, 0.0, 0.3)), state((0.3, 0.0, 0.0), gripper=0.02), state(LIFTED, block=LIFTED)])
    assert np.array_equal(ends.actions(states, SCENE), LIFT.actions(states, SCENE))


@pytest.mark.parametrize(
    ("subgoal", "problem"),
    [
        ({"brings": "lamp", "to": "target", "within": 0.03}, "names 'lamp'.*known: tool, block, target"),
        ({"brings": "block", "to": "lamp", "within": 0.03}, "names 'lamp'"),
        ({"brings": "block", "to": "target"}, "brings 'block' to 'target' within 0 m; expected two things and metres"),
        ({"brings": "block", "within": 0.03}, "brings 'block' to '' within 0.03 m; expected two things"),
        ({"to": "target", "within": 0.03}, "brings '' to 'target'"),
        ({"within": 0.03}, "brings '' to '' within 0.03 m; .* or none of them"),
        ({"within": -0.03}, "within -0.03 m"),
        ({"brings": "block", "to": "target", "within": -0.03}, "within -0.03 m"),
        ({"brings": "block", "to": "block", "within": 0.03}, "brings 'block' to 'block'"),
        ({"brings": "block", "to": "target", "within": float("nan")}, "expected finite"),
        ({"brings": "block", "to": "target", "within": float("inf")}, "expected finite"),
    ],
)
def test_half_a_sub_goal_is_refused_in_a_sentence(subgoal, problem):
    with pytest.raises(VarlError, match=problem):
        Plan((replace(LIFT.phases[0], **subgoal), *LIFT.phases[1:])).check(SCENE)


def test_plans_of_stages_survive_json_and_those_saved_before_there_were_any_load():
    LIFT_THEN_LID.check(ERRANDS)
    assert Plan.from_dict(json.loads(json.dumps(LIFT_THEN_LID.as_dict()))) == LIFT_THEN_LID
    saved = LIFT.as_dict()
    for phase in saved["phases"]:
        del phase["brings"], phase["to"], phase["within"]
    assert Plan.from_dict(json.loads(json.dumps(saved))) == LIFT


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
