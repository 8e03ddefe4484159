"""The stand-in: what it advises, how often it errs, and that it says so."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from varl_common.advice_status import AdviceStatus
from varl_common.env_description import EnvDescription
from varl_common.plan import Phase
from varl_vlm_advisor.backends.scripted import scripted_plan
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.types import State

Make = Callable[..., Advisor]
MakeTransition = Callable[..., State]


def actions(advisor: Advisor, env: EnvDescription, states: list[State]) -> np.ndarray:
    answers = advisor.ask(env, states, 20.0).result(25)
    assert [advice.status for advice in answers.advice] == [AdviceStatus.OK] * len(states), answers.advice
    return np.stack([advice.action for advice in answers.advice if advice.action is not None])


def test_it_points_the_tool_at_the_block(advisor: Make, env: EnvDescription, transition: MakeTransition) -> None:
    exact = advisor(scripted={"error_rate": 0.0})
    (action,) = actions(exact, env, [transition(tool=[0.3, 0.2, 0.12])])
    assert action.tolist() == [1.0, -1.0, 0.0, -1.0]  # over to the block, open


def test_its_trajectories_begin_where_the_arm_is_and_go_on_to_the_task_s_end(
    advisor: Make, env: EnvDescription, transition: MakeTransition
) -> None:
    asked = advisor(scripted={"error_rate": 0.0}, strategy="trajectory")
    states = [transition(tool=[0.3, 0.2, 0.12]), transition(1, tool=[0.3, -0.2, 0.12])]
    answers = asked.ask(env, states, 20.0).result(25)
    plan = scripted_plan(env)
    for state, advice in zip(states, answers.advice, strict=True):
        assert advice.status == AdviceStatus.OK
        assert advice.waypoints is not None
        assert advice.action is not None
        places = plan.places(state.state[None], env)[:, 0]
        assert np.allclose(advice.waypoints[:, :3], places[-len(advice.waypoints) :], atol=1e-3)
        way = places[-len(advice.waypoints)] - env.position("tool", state.state)
        assert way @ advice.action[:3] > 0
    assert answers.plan is None


def test_the_rate_of_wrong_axes_is_as_set(advisor: Make, env: EnvDescription, transition: MakeTransition) -> None:
    states = [transition(number, pictured=False) for number in range(600)]
    right = actions(advisor(scripted={"error_rate": 0.0}), env, states)
    said = actions(advisor(scripted={"error_rate": 0.2}), env, states)
    wrong = np.sign(right) != np.sign(said)
    assert wrong.mean(axis=0) == pytest.approx(0.2, abs=0.05)


def test_the_same_question_gets_the_same_answer_whoever_asks(
    advisor: Make, env: EnvDescription, transition: MakeTransition
) -> None:
    states = [transition(number) for number in range(40)]
    first = actions(advisor(scripted={"error_rate": 0.5, "seed": 3}), env, states)
    renumbered = [replace(state, id=state.id + 100) for state in reversed(states)]
    second = actions(advisor(scripted={"error_rate": 0.5, "seed": 3}), env, renumbered)[::-1]
    other_seed = actions(advisor(scripted={"error_rate": 0.5, "seed": 4}), env, states)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other_seed)


def test_an_unknown_task_is_refused_by_name(advisor: Make, env: EnvDescription, transition: MakeTransition) -> None:
    answers = advisor().ask(replace(env, task="juggle"), [transition()], 5.0).result(10)
    assert answers.advice[0].status == AdviceStatus.REFUSED
    assert "'juggle'" in answers.advice[0].reason
    assert "keep that name in your file (task: reach), else see docs/tasks.md" in answers.advice[0].reason
    assert answers.advice[0].action is None


def test_it_is_labelled_a_stand_in(advisor: Make, env: EnvDescription, transition: MakeTransition) -> None:
    answers = advisor().ask(env, [transition()], 5.0).result(10)
    assert answers.advisor == "scripted (stand-in for a VLM)"
    assert answers.advice[0].reason.startswith("scripted:")


def test_votes_outvote_errors(advisor: Make, env: EnvDescription, transition: MakeTransition) -> None:
    states = [transition(number, pictured=False) for number in range(200)]
    right = actions(advisor(scripted={"error_rate": 0.0}), env, states)
    errors = [
        (np.sign(actions(advisor(votes=votes, scripted={"error_rate": 0.3}), env, states)) != np.sign(right)).mean()
        for votes in (1, 7)
    ]
    assert errors[1] < errors[0] / 3


def test_a_plan_comes_with_an_action_for_each_state(
    advisor: Make, env: EnvDescription, transition: MakeTransition
) -> None:
    answers = (
        advisor(strategy="plan", scripted={"error_rate": 0.0}).ask(env, [transition(), transition(1)], 5.0).result(10)
    )
    assert answers.plan is not None
    assert [phase.target for phase in answers.plan.phases] == ["block", "block", "block", "target"]
    assert all(advice.action is not None for advice in answers.advice)


def test_a_plan_is_right_though_each_sample_is_wrong_somewhere(
    advisor: Make, env: EnvDescription, transition: MakeTransition
) -> None:
    right = scripted_plan(env).phases

    def plan(state: State, votes: int) -> tuple[Phase, ...]:
        asked = advisor(votes=votes, scripted={"error_rate": 0.1}, strategy="plan")
        answer = asked.ask(env, [state], 20.0).result(25).plan
        assert answer is not None
        return answer.phases

    states = [transition(number) for number in range(6)]
    assert sum(plan(state, 1) == right for state in states) <= 3
    assert all(plan(state, 9) == right for state in states)
