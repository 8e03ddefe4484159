"""Tasks of several stages in the advice bench: their plans solve them, and err in one stage at a time."""

import numpy as np
import pytest
from varl_agent.advice.messages import AdviceQuery
from varl_common.plan import Plan

pytest.importorskip("mujoco")

from benchmarks.advice.advisors import Plans, plan_of
from benchmarks.advice.environments import LONG_TASKS, make_env
from benchmarks.advice.stages import LONG


@pytest.mark.parametrize("task", sorted(LONG_TASKS))
def test_the_plan_of_a_long_task_solves_it(task: str) -> None:
    env = make_env(task, 3)
    plan, scene = plan_of(task, env), env.get_wrapper_attr("description")
    plan.check(scene)
    for _ in range(2):
        observation, ended = env.reset()[0], False
        info: dict[str, bool] = {}
        while not ended:
            action = plan.actions(observation[None], scene)[0]
            observation, _, terminated, truncated, info = env.step(action)
            ended = terminated or truncated
        assert info["is_success"]


def test_a_stage_is_done_by_what_the_state_says_and_again_where_that_is_lost() -> None:
    env = make_env("stack", 0)
    scene, plan = env.get_wrapper_attr("description"), LONG["stack"]
    at = dict(zip(scene.entities, scene.entity_indices, strict=True))
    state = env.reset()[0]
    lying = state.copy()
    lying[at["block"] : at["block"] + 3] = state[at["tray"] : at["tray"] + 3] + np.array([0.0, 0.0, 0.025], np.float32)
    first, second = (Plan(stage).actions(np.stack([state, lying]), scene) for stage in plan.stages)
    assert np.array_equal(plan.actions(np.stack([state, lying]), scene), [first[0], second[1]])
    assert not np.allclose(first[1], second[1])


def test_an_answer_that_errs_errs_in_one_stage_and_keeps_its_sub_goal() -> None:
    env = make_env("stack", 0)
    scene, right = env.get_wrapper_attr("description"), LONG["stack"]
    state = env.reset()[0][None]
    nothing = np.zeros((1, 4), np.float32)
    erring = set()
    for step in range(20):
        query = AdviceQuery(step, state, nothing, state, nothing[:, 0])
        plan = Plans(right, scene, 1.0, seed=0, misplaced=0.0).ask(query).result().plan
        assert plan is not None
        assert [stage[-1].brings for stage in plan.stages] == ["block", ""]
        (wrong,) = np.flatnonzero([a != b for a, b in zip(plan.stages, right.stages, strict=True)])
        erring.add((wrong, len(plan.phases)))
    assert erring == {(stage, phases) for stage in (0, 1) for phases in (12, 13)}, "missing or misordered, in each"
