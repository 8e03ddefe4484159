"""Whose turn an episode is: plans that act, and which of them guide."""

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv
from varl_agent.advice import plan_trials
from varl_agent.advice.plan_trials import UNPROVEN, plans_of
from varl_common.errors import VarlError
from varl_common.plan import Phase, Plan

from .point import PointEnv, Scripted, make


def in_turn(model, episodes):
    """For each episode: what acted, and whether the actions that were stored are its."""
    turns = []
    while len(turns) < episodes:
        tried, last = model.turns.tried[0] if model.guided else None, model._last_obs
        if tried is not None:
            advised = model.guidance.label(last, model.consultation.scene, plans_of(model.guidance, tried))
        model.learn(1, reset_num_timesteps=False)
        row = model.replay_buffer.pos - 1
        if tried is not None:
            limited = model.policy.scale_action(np.clip(model.policy.unscale_action(advised), -0.5, 0.5))
            np.testing.assert_allclose(model.replay_buffer.actions[row], limited, atol=1e-6)
        if model.replay_buffer.dones[row, 0]:
            turns.append(tried)
    return turns


def test_plans_act_in_their_share_of_the_episodes_and_those_guide_that_succeed():
    """Three plans of which one is right, and whose vote is wrong: an episode of each tells."""

    class Torn(Scripted):
        def ask(self, query):
            self.plan = Plan((Phase("target", (0.0, 0.0, (-2.0, -2.0, 0.0)[len(self.queries)])),))
            return super().ask(query)

    model = make(Torn(), trigger=[30, 31, 32], act=0.5, cutoff_step=9_000, buffer_size=3_000).learn(40)
    turns = in_turn(model, 20)
    own = turns.count(None)
    assert own == pytest.approx(10, abs=1)
    assert set(turns) == {None, -1, 0, 1, 2}
    assert set(turns[-8:]) == {None, 2}
    assert model.guidance.trusted == [2]
    while model.turns.tried == [None]:  # let go in the midst of an episode that is a plan's
        in_turn(model, 1)
    model.released_at, model.num_timesteps = 1, 9_001
    own, ended, rows = model.successes.own, model.successes.ended, len(model.ep_success_buffer)
    assert set(in_turn(model, 4)) == {None}, "once advice is released the policy acts alone"
    assert model.turns.tried == [None], "and is credited alone"
    assert model.successes.ended - ended == 4
    assert model.successes.own - own == sum(list(model.ep_success_buffer)[rows:])


def test_a_plan_labels_nothing_before_it_has_succeeded():
    """Nor between its answer and the end of the episode that runs then, though its own turn is yet to come."""
    model = make(Scripted(plan=Plan((Phase("target"),))), trigger=[30], act=0.5, cutoff_step=9_000).learn(30)
    while not model.guidance.tallies:
        assert bool(model.guidance.plans) == (model.num_timesteps >= 30)
        assert model.sampler.guidance(model.sampler.draw(1, 8)) == [None]
        model.learn(1, reset_num_timesteps=False)
    assert model.guidance.tallies == {0: [1, 0]}
    assert model.sampler.guidance(model.sampler.draw(1, 8)) != [None]


def test_what_a_plan_achieves_is_none_of_the_policys_success():
    right = Plan((Phase("target"),))
    model = make(Scripted(plan=right), trigger=[30], act=0.5, cutoff_step=9_000, buffer_size=3_000).learn(40)
    own, ended, rows = model.successes.own, model.successes.ended, len(model.ep_success_buffer)
    turns = in_turn(model, 12)
    won = list(model.ep_success_buffer)[rows:]
    assert turns.count(0) >= 5
    assert model.successes.ended - ended == 12
    assert model.successes.own - own == sum(success for success, turn in zip(won, turns, strict=True) if turn is None)
    assert sum(success for success, turn in zip(won, turns, strict=True) if turn == 0) > 0


@pytest.mark.parametrize("first", [0, 1])
def test_plans_act_in_their_share_of_each_environments_episodes_in_whatever_order_these_end(first):
    env = DummyVecEnv([PointEnv, PointEnv])
    model = make(Scripted(plan=Plan((Phase("target"),))), env=env, trigger=[30], act=0.5, cutoff_step=9_000).learn(60)
    turns, won = {0: [], 1: []}, {"is_success": True}
    for _ in range(40):
        for i in (first, 1 - first):  # the one always ends before the other
            turns[i].append(model.turns.tried[i])
            model.turns.note(np.arange(2) == i, [won, won])
            model.successes.add(np.arange(2) == i, [won, won])
    for taken in turns.values():
        assert sum(tried is not None for tried in taken[1:]) == pytest.approx(20, abs=1)


def test_a_plan_beside_that_fails_in_one_environment_acts_in_the_other_no_longer():
    env = DummyVecEnv([PointEnv, PointEnv])
    model = make(Scripted(plan=Plan((Phase("target"),))), env=env, trigger=[30], act=0.5, cutoff_step=9_000).learn(60)
    for both in (np.array([True, True]), np.array([True, False])):
        number = model.guidance.add_beside(Plan((Phase("target", (0.0, 0.0, 0.3)),)))
        model.turns.tried = [number, number]
        model.turns.note(both, [{}, {}])
        model.turns.with_advice(np.zeros((2, 3), np.float32))
        assert not model.guidance.knows(number)
        assert number not in (*model.guidance.tallies, *model.turns.tried)


def test_with_act_at_0_a_plan_never_acts():
    model = make(Scripted(plan=Plan((Phase("target"),))), trigger=[30], act=0.0, cutoff_step=9_000).learn(60)
    assert model.guidance.plans
    assert set(in_turn(model, 10)) == {None}
    with pytest.raises(VarlError, match="act"):
        make(act=1.5)


def test_plans_that_all_fail_neither_act_nor_guide_and_ones_own_successes_take_their_place(monkeypatch):
    monkeypatch.setattr(plan_trials, "BESIDE", 4)
    monkeypatch.setattr(plan_trials, "ASIDE", 0.0)
    idle = Plan((Phase("tool"),))  # it stays where it begins, where hardly any target is
    settings = {"imitation_weight": 1.0, "success_fraction": 0.5, "cutoff_step": 9_000, "buffer_size": 3_000}
    model = make(Scripted(plan=idle), trigger=[30], act=1.0, **settings).learn(40)
    turns = in_turn(model, 75)
    assert turns.count(0) == 6, "as many as it is given"
    assert sum(turn is not None for turn in turns) == 6 + 4
    theirs = np.flatnonzero([turn is not None for turn in turns])
    assert np.diff(theirs) == pytest.approx(1 / UNPROVEN, abs=1), "more seldom, once it has failed"
    assert model.guidance.trusted == []
    assert model.guided
    (guidance,) = [guidance for _, guidance in model.sampler.batches(1, 16)]
    assert guidance is None or guidance.weight == 1.0, "one's own successes, once there are any"
    assert guidance is None or guidance.hold == 0.0


@pytest.mark.parametrize("info", [{"intervened": True}, {"stands_in": True}])
def test_an_episode_that_a_person_takes_over_speaks_neither_for_a_plan_nor_against_it(info):
    model = make(Scripted(plan=Plan((Phase("target"),))), trigger=[30], act=1.0, cutoff_step=9_000).learn(60)
    before, no, yes = dict(model.guidance.tallies), np.array([False]), np.array([True])
    model.turns.tried = [0]
    steps = [{}, dict(info), {"is_success": True}]
    for done, step in zip((no, no, yes), steps, strict=True):
        model.turns.note(done, [step])
    assert ["advised" in step for step in steps] == [True, False, False]
    assert model.guidance.tallies == before
    assert model.turns.tried == [0], "the next one is the plan's again"


def test_what_a_failure_came_to_is_told_by_the_sub_goals_at_any_time_of_it():
    """The tool comes to the target and goes away again: the first of two stages is done, and then no longer."""
    back = Plan((Phase("target", brings="tool", to="target", within=0.2), Phase("target", (0.0, 0.0, 0.9))))
    model = make(Scripted(plan=back), trigger=[30], act=1.0, cutoff_step=9_000, gate="none").learn(60)
    credited, model.turns.tried, model.turns.stages = model.guidance.stages, [0], [0]
    credited.clear()
    nothing = np.zeros((1, 3), np.float32)
    for apart, done in ((0.5, False), (0.1, False), (0.5, True)):
        model._last_obs = np.array([[apart, 0, 0, 0, 0, 0]], np.float32)
        model.turns.with_advice(nothing)
        saved = model.turns.state_dict()
        model.turns.restart()
        model.turns.load_state_dict(saved)
        model.turns.note(np.array([done]), [{}])
    assert credited == {0: 1}
    assert model.turns.stages == [0], "the next episode begins anew"


@pytest.mark.parametrize("shape", [(3, 1), (1, 3)])
def test_an_action_may_have_any_shape(shape):
    class Shaped(PointEnv):
        def __init__(self):
            super().__init__(limit=None)
            self.action_space = gym.spaces.Box(-1.0, 1.0, shape, np.float32)

        def step(self, action):
            assert action.shape == shape
            return super().step(action.reshape(3))

    model = make(Scripted(plan=Plan((Phase("target"),))), Shaped(), trigger=[30], act=1.0, cutoff_step=9_000).learn(60)
    assert model.advisor.queries[0].actions.shape == (10, 3)
    assert model.turns.tried == [0]
