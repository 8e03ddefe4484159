"""Questions about a scene of several things: a plan may have sub-goals there, and nowhere else."""

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from varl_common.advice_status import AdviceStatus
from varl_common.config import Config
from varl_common.env_description import EnvDescription
from varl_common.plan import Phase, Plan
from varl_common.task_plans import PLANS
from varl_vlm_advisor.answer.motion import to_plan
from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.question.prompt import Prompter
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.service.config import AdvisorConfig
from varl_vlm_advisor.testing.fuzz import good
from varl_vlm_advisor.testing.server import Server
from varl_vlm_advisor.types import State

PHASE = {"target": "block", "x": 0.0, "y": 0.0, "z": 0.1, "opposite": "", "standoff": 0.0, "gripper": "open"}
PHASE |= {"tolerance": 0.02, "brings": "", "to": "", "within": 0.0}
SUBGOAL = {"brings": "block", "to": "target", "within": 0.04}


@pytest.fixture
def shelf(env: EnvDescription) -> EnvDescription:
    """The lift task with one thing more in the scene."""
    names = [*env.observation_names, "lid_x", "lid_y", "lid_z"]
    return replace(
        env,
        observation_names=names,
        observation_units=["m"] * len(names),
        observation_low=np.append(env.observation_low, np.full(3, -1, np.float32)),
        observation_high=np.append(env.observation_high, np.full(3, 1, np.float32)),
        entities=[*env.entities, "lid"],
        entity_indices=[*env.entity_indices, 10],
    )


@pytest.fixture
def moment(transition: Callable[..., State]) -> State:
    taken = transition()
    states = (np.append(state, np.zeros(3, np.float32)) for state in (taken.state, taken.next_state))
    return replace(taken, **dict(zip(("state", "next_state"), states, strict=True)))


class Model:
    """Says ``plans`` one after the other."""

    class Settings(Config):
        """None."""

    label, identity, sees = "model", "model", True

    def __init__(self, *plans: list[dict[str, Any]]) -> None:
        self.plans = list(plans)
        self.asked: list[Question] = []

    async def reply(self, question: Question, sample: int) -> Reply:
        self.asked.append(question)
        said = {"id": question.id, "reason": "r", "can_tell": True, "phases": self.plans.pop(0)}
        return Reply(json.dumps(said))

    async def close(self) -> None:
        pass


def plan_by(asked: Advisor, env: EnvDescription, state: State) -> Plan:
    answers = asked.ask(env, [state], 20.0).result(25)
    assert [advice.status for advice in answers.advice] == [AdviceStatus.OK], answers.advice
    assert answers.plan is not None
    return answers.plan


def test_a_scene_of_three_things_is_asked_for_sub_goals_and_one_of_two_is_not(
    env: EnvDescription, shelf: EnvDescription, moment: State, transition: Callable[..., State]
) -> None:
    prompter = Prompter(AdvisorConfig.from_dict({"strategy": "plan"}, "test"), sees=True)
    question = prompter.question(shelf, moment)
    assert "1 to 16 of" in question.text
    assert '"brings", "to" and "within": in such a last phase' in question.text
    asked = question.schema["$defs"]["Phase"]
    assert asked["properties"]["brings"]["enum"] == ["", "block", "target", "lid"]
    assert asked["required"][-3:] == ["brings", "to", "within"]
    plain = prompter.question(env, transition())
    assert "1 to 8 of" in plain.text
    for word in ("brings", "within", "stage"):
        assert word not in plain.text + str(plain.schema)


def test_what_is_said_of_a_sub_goal_is_what_the_plan_has(
    advisor: Callable[..., Advisor], shelf: EnvDescription, moment: State
) -> None:
    said = [PHASE, PHASE | SUBGOAL, PHASE | {"target": "lid", "within": 0.3}, PHASE]
    first, second, third, _ = plan_by(advisor(Model(said), strategy="plan"), shelf, moment).phases
    assert (second.brings, second.to, second.within) == ("block", "target", 0.04)
    assert (first.within, third.within) == (0.0, 0.0), "metres of nothing are none"


@pytest.mark.parametrize("half", [{"to": ""}, {"within": 0.0}, {"to": "block"}, {"brings": ""}])
def test_half_a_sub_goal_is_said_to_the_model_which_may_mend_it(
    advisor: Callable[..., Advisor], shelf: EnvDescription, moment: State, half: dict[str, Any]
) -> None:
    model = Model([PHASE | SUBGOAL | half, PHASE], [PHASE | SUBGOAL, PHASE])
    assert plan_by(advisor(model, strategy="plan"), shelf, moment).phases[0].brings == "block"
    _, again = model.asked
    assert "expected two things and metres above 0, or none of them" in again.objection


def test_the_stand_in_goes_on_to_the_end_of_a_stage_and_judges_by_the_last(
    advisor: Callable[..., Advisor], shelf: EnvDescription, moment: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Phase("block", (0.0, 0.0, 0.1), -1.0), Phase("target", brings="block", to="target", within=0.04)
    monkeypatch.setitem(PLANS, "lift", Plan((*first, Phase("lid", (0.0, 0.0, 0.1)), Phase("lid"))))
    exact = {"scripted": {"error_rate": 0.0}}
    answers = advisor(strategy="trajectory", **exact).ask(shelf, [moment], 20.0).result(25)
    waypoints = answers.advice[0].waypoints
    assert waypoints is not None
    assert waypoints[-1, :3] == pytest.approx([0.4, 0.1, 0.2], abs=1e-3), "the target, and not the lid"
    asked = advisor(**exact)
    verdicts = []
    for block in ([0.4, 0.1, 0.02], [0.4, 0.1, 0.2]):
        state = moment.state.copy()
        state[:3], state[3:6] = state[10:13], block  # the tool is at the lid
        verdicts.append(asked.judge(shelf, replace(moment, state=state), 20.0).result(25).accomplished)
    assert verdicts == [False, True]


def test_all_who_answer_in_a_model_s_place_know_the_longer_form(
    advisor: Callable[..., Advisor], shelf: EnvDescription, moment: State
) -> None:
    stand_in = advisor(strategy="plan", scripted={"error_rate": 0.0})
    assert len(plan_by(stand_in, shelf, moment).stages) == 1
    with Server() as server:
        openai = {"base_url": server.url, "model": "m"}
        assert plan_by(advisor(backend="openai", strategy="plan", openai=openai), shelf, moment).phases
    question = Prompter(AdvisorConfig.from_dict({"strategy": "plan"}, "test"), sees=True).question(shelf, moment)
    to_plan(question.answer_model.model_validate(good(question, Random(0)))).check(shelf)
