"""Plans on trial: what acts next, and what guides."""

from types import SimpleNamespace

import numpy as np
import pytest
from varl_agent.advice.guidance_buffer import VOTE, GuidanceBuffer
from varl_agent.advice.messages import AdviceAnswer
from varl_agent.advice.plan_trials import ASIDE, BESIDE, TRIES, UNPROVEN, choose, credit, share, takes_turn
from varl_common.plan import Phase, Plan
from varl_common.trajectories import Trajectories


def buffer(plans=3):
    guidance = GuidanceBuffer(3)
    for step in range(plans):
        add(guidance, step)
    return guidance


def add(guidance, step):
    plan = Plan((Phase("target", (step / 10, 0.0, 0.0)),))
    guidance.add(np.zeros((1, 6), np.float32), AdviceAnswer.of(np.zeros((1, 3)), "one", plan), step)


def tried(guidance, worth, episodes):
    """What acts in each of so many episodes, of which each succeeds that its ``worth`` says."""
    turns = []
    for _ in range(episodes):
        turn = takes_turn(guidance)
        turns.append(turn)
        if turn is not None:
            credit(guidance, turn, worth.get(turn, False))
        choose(guidance)
    return turns


def advised(turns):
    """Those of ``turns`` in which what the advisor said acted, not a plan beside it."""
    return [turn for turn in turns if turn is None or turn >= VOTE]


@pytest.mark.parametrize("right", [VOTE, 0, 1, 2])
def test_the_one_that_succeeds_is_found_within_an_episode_of_each_and_then_acts_and_guides(right):
    guidance = buffer()
    turns = tried(guidance, {arm: arm == right for arm in (VOTE, 0, 1, 2)}, 12)
    assert set(turns[4:]) == {right}
    assert turns == advised(turns)
    assert guidance.trusted == ([0, 1, 2] if right == VOTE else [right])
    assert guidance.guides


def test_where_all_fail_none_acts_or_guides_until_another_plan_comes():
    guidance = buffer()
    wrong = dict.fromkeys((VOTE, 0, 1, 2, 3), False)
    turns = tried(guidance, wrong, 4 * TRIES + BESIDE + 3)
    assert [turns.count(arm) for arm in (VOTE, 0, 1, 2, None)] == [TRIES, TRIES, TRIES, TRIES, 3]
    assert min(turns[: 4 * TRIES + BESIDE]) < VOTE
    assert not guidance.beside
    assert guidance.trusted == []
    assert not guidance.guides
    add(guidance, 3)
    assert takes_turn(guidance) in (VOTE, 3), "another plan, and another vote"
    assert set(tried(guidance, wrong | {3: True}, 6)[2:]) == {3}
    assert guidance.trusted == [3]


def test_one_that_succeeds_at_times_is_not_given_up_and_makes_way_for_a_better_one():
    guidance = buffer(2)
    for succeeded in [False, False, True] * 20:
        credit(guidance, 0, succeeded)
    for _ in range(TRIES):
        credit(guidance, 1, False)
    choose(guidance)
    assert guidance.trusted == [0]
    assert advised(tried(guidance, {0: True}, BESIDE + 1)) == [0]
    add(guidance, 2)
    assert tried(guidance, {2: True, VOTE: False, 0: False, 1: False}, 5)[-1] == 2
    assert guidance.trusted == [2]


def test_once_each_has_failed_plans_act_more_seldom_until_one_succeeds():
    guidance = buffer()
    for _ in range(4):
        assert share(guidance, 0.5) == 0.5
        tried(guidance, {}, 1)
    assert share(guidance, 0.5) == UNPROVEN
    assert share(guidance, 0.05) == 0.05, "who wants less than that has less"
    add(guidance, 3)
    assert share(guidance, 0.5) == 0.5, "it is to be tried, and the vote with it"
    tried(guidance, {}, 2)
    assert share(guidance, 0.5) == UNPROVEN
    credit(guidance, 1, False, stages=1)
    assert share(guidance, 0.5) == 0.5, "a first stage is no success, but tells that it is not all wrong"
    guidance.stages.clear()
    credit(guidance, 1, True)
    assert share(guidance, 0.5) == 0.5


def test_one_success_by_chance_does_not_save_what_fails():
    guidance = buffer(1)
    turns = [None]
    for succeeded in (True, *[False] * (40 + BESIDE)):
        turns.append(takes_turn(guidance))
        if turns[-1] is not None:
            credit(guidance, turns[-1], succeeded)
    assert turns.count(0) == 1 + 2 * TRIES


def test_a_single_plan_alone_stands_trial_and_two_have_no_vote():
    assert takes_turn(buffer(1)) == 0
    assert set(advised(tried(buffer(2), {0: False, 1: False}, 8))) == {0, 1}
    assert takes_turn(buffer(0)) is None


def test_where_little_succeeds_plans_beside_the_best_one_are_tried_until_one_does_and_that_one_guides():
    """A thing is 5 cm from where the plan has it; what comes within 3 cm of it succeeds."""
    guidance = GuidanceBuffer(3, seed=1)
    plan = Plan((Phase("target", (0.0, 0.0, 0.1)), Phase("target", (0.0, 0.0, 0.0))))
    guidance.add(np.zeros((1, 6), np.float32), AdviceAnswer.of(np.zeros((1, 3)), "one", plan), 0)
    turns = []
    for _ in range(60):
        turns.append(takes_turn(guidance))
        above, at = (np.array(phase.offset) for phase in guidance.plan(turns[-1]).phases)
        assert above - at == pytest.approx([0.0, 0.0, 0.1]), "a thing is as far aside in all phases"
        credit(guidance, turns[-1], bool(np.linalg.norm(at - [0.04, 0.03, 0.0]) < 0.03))
        choose(guidance)
        assert all(guidance.tallies[number][0] for number in guidance.trusted), "none guides that never succeeded"
    found = turns[-1]
    assert found < VOTE
    assert turns[-20:] == [found] * 20
    assert guidance.trusted == [found]
    assert set(guidance.beside) == {found}, "those that failed are gone"
    assert 0 < np.linalg.norm(guidance.beside[found].phases[1].offset) < 5 * ASIDE
    scene = SimpleNamespace(
        observation_names=list("xyzuvw"), observation_low=-np.ones(6), observation_high=np.ones(6),
        action_names=["dx", "dy", "dz"], action_scale=np.ones(3), entities=["tool", "target"], entity_indices=[0, 3],
    )  # fmt: skip
    state = np.array([[0, 0, 0.1, 0, 0, 0]], np.float32)
    assert guidance.label(state, scene) == pytest.approx(guidance.beside[found].actions(state, scene))


def test_of_several_stages_what_brings_the_first_about_is_kept_and_the_next_is_looked_for_from_there():
    """Block and lid are 4 cm from where the plan has them; a stage is done where its thing is hit by 3 cm."""
    guidance = GuidanceBuffer(3, seed=0)
    plan = Plan((Phase("block", brings="block", to="target", within=0.02), Phase("block"), Phase("lid")))
    guidance.add(np.zeros((1, 6), np.float32), AdviceAnswer.of(np.zeros((1, 3)), "one", plan), 0)
    came = []
    while len(came) < 200 and came[-10:] != [2] * 10:
        turn = takes_turn(guidance)
        first, _, last = (np.array(phase.offset) for phase in guidance.plan(turn).phases)
        hits = [bool(np.linalg.norm(at - [0.04, 0.0, 0.0]) < 0.03) for at in (first, last)]
        if turn < VOTE and max(came) == 1:
            assert hits[0], "it is not put at risk again"
        came.append(sum(hits) if hits[0] else 0)
        credit(guidance, turn, came[-1] == 2, min(came[-1], 1))
        choose(guidance)
    assert came[0] == 0
    assert came[-10:] == [2] * 10
    assert sum(was == 0 for was in came) <= BESIDE
    found = turn
    assert guidance.trusted == [found]
    assert {number for number, (won, _) in guidance.tallies.items() if won} == {found}
    assert set(guidance.beside) == set(guidance.stages), "but for what came further than all before they are gone"
    assert len(guidance.beside) == 2


def test_what_acts_in_its_own_way_has_none_beside_it():
    way = Trajectories(starts=np.zeros((1, 6), np.float32), waypoints=np.zeros((1, 2, 4), np.float32))
    guidance = buffer(0)
    guidance.add(np.zeros((1, 6), np.float32), AdviceAnswer.of(np.zeros((1, 3)), "one", way), 0)
    assert tried(guidance, {}, TRIES - 1) == [0] * (TRIES - 1)
    assert guidance.trusted == [0], "trajectories need not succeed from an episode's beginning on to guide"
    assert tried(guidance, {}, 3) == [0, None, None]
    assert guidance.trusted == []


def test_a_plan_guides_once_it_has_succeeded():
    guidance = buffer(1)
    tried(guidance, {}, 2)
    assert guidance.trusted == []
    credit(guidance, 0, True)
    choose(guidance)
    assert guidance.trusted == [0]


def test_tallies_and_plans_beside_are_saved():
    guidance = buffer()
    tried(guidance, {VOTE: False, 0: False, 1: False, 2: False, -2: False, -3: True}, 12)
    credit(guidance, 1, False, stages=1)
    loaded = GuidanceBuffer(3)
    loaded.load_state_dict(guidance.state_dict())
    assert set(guidance.beside) == {-3}
    for name in ("tallies", "stages", "trusted", "beside", "passed"):
        assert getattr(loaded, name) == getattr(guidance, name)
