"""Plans on trial: what acts next, and what guides."""

import numpy as np
import pytest
from varl_agent.advice.guidance_buffer import VOTE, GuidanceBuffer
from varl_agent.advice.messages import AdviceAnswer
from varl_agent.advice.plan_trials import TRIES, choose, credit, takes_turn
from varl_common.plan import Phase, Plan


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
            credit(guidance, turn, worth[turn])
        choose(guidance)
    return turns


@pytest.mark.parametrize("right", [VOTE, 0, 1, 2])
def test_the_one_that_succeeds_is_found_within_an_episode_of_each_and_then_acts_and_guides(right):
    guidance = buffer()
    turns = tried(guidance, {arm: arm == right for arm in (VOTE, 0, 1, 2)}, 12)
    assert set(turns[4:]) == {right}
    assert guidance.trusted == ([0, 1, 2] if right == VOTE else [right])
    assert guidance.guides


def test_where_all_fail_none_acts_or_guides_until_another_plan_comes():
    guidance = buffer()
    wrong = dict.fromkeys((VOTE, 0, 1, 2, 3), False)
    turns = tried(guidance, wrong, 4 * TRIES + 3)
    assert [turns.count(arm) for arm in (VOTE, 0, 1, 2, None)] == [TRIES, TRIES, TRIES, TRIES, 3]
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
    assert (takes_turn(guidance), guidance.trusted) == (0, [0])
    add(guidance, 2)
    assert tried(guidance, {2: True, VOTE: False, 0: False, 1: False}, 5)[-1] == 2
    assert guidance.trusted == [2]


def test_one_success_by_chance_does_not_save_what_fails():
    guidance = buffer(1)
    turns = [None]
    for succeeded in (True, *[False] * 40):
        turns.append(takes_turn(guidance))
        if turns[-1] is not None:
            credit(guidance, 0, succeeded)
    assert turns.count(0) == 1 + 2 * TRIES


def test_a_single_plan_alone_stands_trial_and_two_have_no_vote():
    assert takes_turn(buffer(1)) == 0
    assert set(tried(buffer(2), {0: False, 1: False}, 8)) == {0, 1}
    assert takes_turn(buffer(0)) is None


def test_tallies_are_saved():
    guidance = buffer()
    tried(guidance, {VOTE: False, 0: False, 1: True, 2: False}, 5)
    loaded = GuidanceBuffer(3)
    loaded.load_state_dict(guidance.state_dict())
    assert (loaded.tallies, loaded.trusted) == (guidance.tallies, guidance.trusted)
