"""What advises in the bench: errors at the stated rate, routes through mazes, a real backend."""

import dataclasses

import numpy as np
import pytest
import yaml
from varl_agent.advice.messages import AdviceQuery
from varl_common.errors import VarlError
from varl_common.task_plans import PLANS
from varl_common.trajectories import Trajectories
from varl_vlm_advisor.testing.server import KEY, Server

advisors = pytest.importorskip("benchmarks.advice.advisors", reason="run from the repository's root")

from benchmarks.advice import trainer  # noqa: E402
from benchmarks.advice.environments import make_env  # noqa: E402
from benchmarks.advice.setting import Setting, make_model  # noqa: E402


def query(states, step=0):
    nothing = np.zeros((len(states), 3), np.float32)
    return AdviceQuery(step, states, nothing, states, np.zeros(len(states), np.float32))


def test_labels_err_at_the_stated_rate_and_frozen_errors_repeat():
    states = np.random.default_rng(0).uniform(0, 1, (2_000, 3)).astype(np.float32)
    right = np.ones((2_000, 3))
    for fresh in (False, True):
        advisor = advisors.Labels(lambda s: np.ones((len(s), 3)), 0.1, seed=1, fresh=fresh)
        first, again = (advisor.ask(query(states, step)).result().actions for step in (1, 2))
        assert np.mean(first != right) == pytest.approx(0.1, abs=0.02)
        assert np.array_equal(first, again) != fresh


def test_plans_err_at_the_stated_rate_and_solve_the_arms_tasks():
    env = make_env("push", 0)
    scene = env.get_wrapper_attr("description")
    states = np.zeros((1, len(scene.observation_names)), np.float32)
    plans = advisors.Plans(PLANS["push"], scene, 0.3, seed=0)
    answers = [plans.ask(query(states, step)).result().plan for step in range(400)]
    wrong = [[p.target for p in a.phases] != ["block", "block", "target"] for a in answers]
    offsets = np.array([a.phases[-1].offset for a, w in zip(answers, wrong, strict=True) if not w])
    assert offsets.std(axis=0) == pytest.approx([0.02] * 3, abs=0.004)
    assert 0.1 < np.mean(wrong) < 0.35  # swapping the first two phases changes no target
    for task in ("reach", "push", "lift"):
        env = make_env(task, 1)
        expert, won = advisors.expert_of(task, env), 0
        for _ in range(10):
            observation, _ = env.reset()
            ended = False
            while not ended:
                observation, _, terminated, truncated, info = env.step(expert(observation[None])[0])
                ended = terminated or truncated
            won += info["is_success"]
        assert won >= 9, task


@pytest.mark.parametrize("task", ["maze-umaze", "maze-medium", "maze-large"])
def test_a_route_leads_through_a_maze_from_any_start_to_any_goal(task):
    pytest.importorskip("gymnasium_robotics")
    env = make_env(task, 0)
    act, won = advisors.expert_of(task, env), 0
    for _ in range(8):
        observation, ended = env.reset()[0], False
        while not ended:
            observation, _, terminated, truncated, info = env.step(act(observation[None])[0])
            ended = terminated or truncated
        won += info["is_success"]
    assert won >= 7
    route, scene = advisors.plan_of(task, env), env.get_wrapper_attr("description")
    cut = route.joined.copy()
    cut[0] = cut[:, 0] = False
    alone = dataclasses.replace(route, joined=cut)
    there = np.array([*route.waypoints[-1], 0, 0, *route.waypoints[0]], np.float32)
    assert np.isfinite(route.distance(there))
    assert np.isinf(alone.distance(there))
    assert np.allclose(alone.actions(there[None], scene), 0.0, atol=1e-5), "no way is known: it stays"
    with pytest.raises(VarlError, match="plan of a maze"):
        route.check(make_env("reach", 0).get_wrapper_attr("description"))


def test_plans_of_a_maze_guide_by_a_vote_and_err_at_the_stated_rate():
    pytest.importorskip("gymnasium_robotics")
    altered = (("learning_starts", 20), ("trigger", (40, 50)), ("states_per_query", 8), ("window", 40))
    model = make_model(Setting("maze-umaze", "varl", 0, 60, 0.1, net=16, altered=altered))
    act = trainer.Acting(model)
    for _ in range(60):
        trainer.advance(model, act)
    assert len(model.guidance.plans) == 2
    env = make_env("maze-umaze", 0)
    scene = env.get_wrapper_attr("description")
    assert model.guidance.label(np.zeros((3, 6), np.float32), scene, [0, 1]).shape == (3, 2)
    plans = advisors.Plans(advisors.plan_of("maze-umaze", env), scene, 0.3, seed=0)
    answers = [plans.ask(query(np.zeros((1, 6), np.float32), step)).result().plan for step in range(300)]
    assert np.mean([(a.joined != plans.plan.joined).any() for a in answers]) == pytest.approx(0.3, abs=0.08)
    shifts = np.array([a.waypoints - plans.plan.waypoints for a in answers])
    assert shifts.std() == pytest.approx(0.2, abs=0.02)


def test_an_advisor_that_is_always_wrong_errs_to_the_same_side_in_all_of_its_plans():
    env = make_env("reach", 0)
    scene = env.get_wrapper_attr("description")
    plans = advisors.Plans(PLANS["reach"], scene, 0.0, seed=0, wrong=True)
    states = np.zeros((1, len(scene.observation_names)), np.float32)
    answers = [plans.ask(query(states, step)).result().plan for step in range(200)]
    offsets = np.array([a.phases[0].offset for a in answers])
    x, y, z = offsets.mean(axis=0)
    assert [np.hypot(x, y), z] == pytest.approx([advisors.ASIDE, advisors.ABOVE], abs=0.01)


@pytest.mark.parametrize("task", ["door-close-v3", "button-press-v3", "faucet-close-v3", "maze-medium", "reach"])
def test_an_advisor_that_is_always_wrong_never_solves_its_task(task):
    env = make_env(task, 1)
    scene = env.get_wrapper_attr("description")
    plans = advisors.Plans(advisors.plan_of(task, env), scene, 0.1, seed=1, wrong=True)
    for step in (1_000, 3_000):
        observation, ended = env.reset()[0], False
        plan = plans.ask(query(observation[None], step)).result().plan
        while not ended:
            observation, _, terminated, truncated, info = env.step(plan.actions(observation[None], scene)[0])
            ended = terminated or truncated
        assert not info["is_success"]


def test_a_backend_is_asked_as_a_vlm_is_with_pictures_of_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_KEY", KEY)
    with Server("good") as server:
        backend = {"backend": "openai", "strategy": "direction", "votes": 1, "cache": {"mode": "off"}}
        backend["openai"] = {"base_url": server.url, "model": "m", "api_key_env": "BENCH_KEY"}
        file = tmp_path / "advisor.yaml"
        file.write_text(yaml.safe_dump({"/**/advisor": {"ros__parameters": backend}}))
        short = {"learning_starts": 10, "trigger": (12,), "states_per_query": 4, "window": 6, "selection": "recent"}
        setting = Setting("coffee-button-v3", "varl-vlm", 0, 20, 0.0, net=16, altered=tuple(short.items()))
        model = make_model(dataclasses.replace(setting, advisor_file=str(file)))
        model.learn(20)
    assert model.guidance.asked == 4
    assert model.guidance.used == 4
    assert [call.pictures for call in server.calls] == [1] * 4
    assert "coffee machine" in server.calls[0].text


def test_a_backend_that_answers_in_trajectories_guides_by_them(tmp_path):
    file = tmp_path / "advisor.yaml"
    asked = {"backend": "scripted", "strategy": "trajectory", "votes": 1, "cache": {"mode": "off"}}
    file.write_text(yaml.safe_dump({"/**/advisor": {"ros__parameters": asked}}))
    short = {"learning_starts": 10, "trigger": (12,), "states_per_query": 4, "window": 6, "selection": "recent"}
    setting = Setting("reach", "varl-vlm", 0, 20, 0.0, net=16, altered=tuple(short.items()))
    model = make_model(dataclasses.replace(setting, advisor_file=str(file)))
    model.learn(20)
    ((step, _, plan),) = model.guidance.plans
    assert step == 12
    assert isinstance(plan, Trajectories)
    assert len(plan.starts) == 4
    assert model.guidance.guides
