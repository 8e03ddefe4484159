"""The advice bench: every method trains, its advisors err as stated, its statistics are right."""

import csv
import dataclasses
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
import yaml
from varl_agent.advice.messages import AdviceQuery
from varl_common.errors import VarlError
from varl_common.task_plans import PLANS
from varl_vlm_advisor.testing.server import KEY, Server

advisors = pytest.importorskip("benchmarks.advice.advisors", reason="run from the repository's root")

from benchmarks.advice import runner, statistics, tasks, trainer  # noqa: E402
from benchmarks.advice.__main__ import main  # noqa: E402
from benchmarks.advice.environments import make_env  # noqa: E402
from benchmarks.advice.report import write_report  # noqa: E402
from benchmarks.advice.runner import _keep_finished, _key  # noqa: E402
from benchmarks.advice.setting import METHODS, Setting, make_model  # noqa: E402

REPOSITORY = Path(__file__).parents[1]


def query(states, step=0):
    nothing = np.zeros((len(states), 3), np.float32)
    return AdviceQuery(step, states, nothing, states, np.zeros(len(states), np.float32))


def test_the_bench_acts_by_the_models_own_policy():
    model = make_model(Setting("reach", "sac", 0, 100, 0.0, net=16))
    model.observation_space.seed(0)
    act, states = trainer.Acting(model), np.stack([model.observation_space.sample() for _ in range(20)])
    for _ in range(2):
        expected = model.predict(states, deterministic=True)[0]
        assert np.allclose([act(state, deterministic=True) for state in states], expected, atol=1e-5)
        with th.no_grad():
            for parameter in model.actor.parameters():
                parameter.mul_(1.5)  # an update
    drawn = np.arctanh(
        [act(states[0], deterministic=False) for _ in range(4_000)]
    )  # tanh would hide, or enlarge, a gap
    with th.no_grad():
        mean, log_std, _ = model.actor.get_action_dist_params(th.as_tensor(states[:1]))
    for z, share in ((-1.2816, 0.1), (0.0, 0.5), (1.2816, 0.9)):
        assert np.allclose((np.quantile(drawn, share, axis=0) - mean.numpy()) / log_std.exp().numpy(), z, atol=0.1)


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
        trainer._advance(model, act)
    assert len(model.guidance.plans) == 2
    env = make_env("maze-umaze", 0)
    scene = env.get_wrapper_attr("description")
    assert model.guidance.label(np.zeros((3, 6), np.float32), scene).shape == (3, 2)
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
    assert np.linalg.norm(offsets.mean(axis=0)) == pytest.approx(0.15, abs=0.01)


def test_every_method_trains_and_reports(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "POINTS", 2)
    monkeypatch.setattr(trainer, "EPISODES", 2)
    altered = (("learning_starts", 20), ("trigger", (40,)), ("states_per_query", 8), ("batch_size", 16))
    settings = [Setting("reach", method, 0, 120, 0.1, net=16, altered=altered) for method in METHODS]
    for setting in settings:
        trainer.train(setting, tmp_path / "evals.csv", lambda steps: None)
    with (tmp_path / "evals.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["method"].split("[")[0] for row in rows} == set(METHODS)
    assert all(row["success_rate"] for row in rows if row["step"] == "120")
    write_report(tmp_path / "evals.csv", tmp_path)
    assert "varl-labels" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_the_report_compares_methods_on_the_tasks_that_they_share(tmp_path):
    evals = tmp_path / "evals.csv"
    wins = {("reach", "varl"): 1.0, ("push", "varl"): 0.2, ("push", "rlpd"): 0.1, ("reach", "sac"): 0.5}
    for (task, method), rate in wins.items():
        for seed in range(3):
            trainer.append(evals, [[task, method, 0.1, seed, 100, 100, rate, rate, 1, 0, 0, 0.0, 1.0, "abc"]])
    write_report(evals, tmp_path)
    report = (tmp_path / "report.md").read_text()
    assert (
        "| varl | 0.1k | 2 | 0.60 [0.60, 0.60] | 0.60 | [0.20, 1.00] | 0.00 | +0.50 [+0.50, +0.50] | 1.00 |" in report
    )
    assert "| rlpd | 0.1k | 1 | 0.10 [0.10, 0.10] | 0.10 | [0.10, 0.10] | 0.00 |  |  |" in report
    assert "Made by commit abc." in report
    assert "| rlpd | 1 | +0.10 [+0.10, +0.10] | 1.00 |" in report
    assert "| sac | 1 | +0.50 [+0.50, +0.50] | 1.00 |" in report


def test_the_fall_is_of_the_mean_over_tasks_below_what_it_had_reached():
    steady, fallen = np.array([[0.2, 0.8, 0.8, 1.0]] * 4), np.array([[0.2, 1.0, 0.4, 0.9]] * 4)
    outlier = np.array([[0.0, 1.0, 0.0, 0.0]])
    assert statistics.fall({"one": steady}) == 0.0
    assert statistics.fall({"one": fallen}) == pytest.approx(0.6)
    assert statistics.fall({"one": steady, "other": fallen}) == pytest.approx(0.3)
    assert statistics.fall({"one": np.concatenate([steady, outlier])}) == 0.0, "the interquartile mean of the seeds"


def test_with_tasks_drawn_anew_the_interval_is_for_tasks_like_these():
    scores = {"easy": np.full(5, 1.0), "hard": np.full(5, 0.0)}
    assert statistics.interval(scores, statistics.mean_of_tasks) == (0.5, 0.5)
    assert statistics.interval(scores, statistics.mean_of_tasks, tasks_too=True) == (0.0, 1.0)


def test_a_run_that_was_cut_off_is_repeated_and_a_finished_one_is_not(tmp_path):
    evals = tmp_path / "evals.csv"
    row = ["reach", "sac", 0.1, 0, 100, 0, "", 0.0, -1, 0, 0, 0.0, 1.0, "abc"]
    for seed, step in ((0, 50), (0, 100), (1, 50)):
        trainer.append(evals, [[*row[:3], seed, 100, step, *row[6:]]])
    done = _keep_finished(evals)
    finished, cut = (Setting("reach", "sac", seed, 100, 0.1) for seed in (0, 1))
    assert _key(finished) in done
    assert _key(cut) not in done
    assert len(evals.read_text().splitlines()) == 3


def test_a_row_names_the_commit_that_made_it():
    assert re.fullmatch(r"[0-9a-f]{10,}\+?", trainer.commit())


def test_tasks_are_reported_by_the_rule_and_never_those_that_were_tuned_on(monkeypatch):
    random = {"push-v3": 0, "hard-v3": 0, "chance-v3": 1, "unplanned-v3": 0, "drawer-open-v3": 0, "other-v3": 0}
    planned = dict.fromkeys(random, 20) | {"push-v3": 3, "unplanned-v3": 15}
    chosen = tasks.choose(random, planned)
    assert chosen[0] == "push-v3"
    assert set(chosen) == {"push-v3", "hard-v3", "other-v3"}
    assert len(set(tasks.REPORTING)) == tasks.COUNT
    assert not {*tasks.TUNING} & {*tasks.GROUPS["reporting"]}
    again = tasks.choose(dict.fromkeys(tasks.REPORTING, 0), dict.fromkeys(tasks.REPORTING, 20))
    assert again == tasks.REPORTING, "in the order of the rule"
    given: list[Any] = []
    monkeypatch.setattr("benchmarks.advice.__main__.run", given.append)
    main(["--tasks", "reach", "reporting", "--out", "x"])
    assert given[0].tasks == ["reach", *tasks.GROUPS["reporting"]]


def reported(tmp_path, rows):
    """The report of runs (task, method, p, seed, steps in all, success at their end)."""
    for task, method, rate, seed, steps, won in rows:
        trainer.append(
            tmp_path / "evals.csv", [[task, method, rate, seed, steps, steps, won, won, 1, 0, 0, 0.0, 1.0, "abc"]]
        )
    write_report(tmp_path / "evals.csv", tmp_path)
    return (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_whatever_the_error_rate_varl_is_compared(tmp_path, rate):
    wins = {"sac": 0.2, "varl": 0.9, "rlpd": 0.5}
    report = reported(
        tmp_path, [("reach", method, rate, seed, 100, won) for method, won in wins.items() for seed in (0, 1)]
    )
    assert f"p={rate}, steps=100." in report
    assert (
        "| varl | 0.1k | 1 | 0.90 [0.90, 0.90] | 0.90 | [0.90, 0.90] | 0.00 | +0.70 [+0.70, +0.70] | 1.00 |" in report
    )
    assert "| rlpd | 1 | +0.40 [+0.40, +0.40] | 1.00 |" in report


def test_what_all_runs_share_is_said_once(tmp_path):
    wins = {"sac[net=256,gamma=0.9]": 0.2, "varl[net=256,gamma=0.9]": 0.9}
    report = reported(tmp_path, [("reach", method, 0.1, 0, 100, won) for method, won in wins.items()])
    assert "p=0.1, steps=100, net=256,gamma=0.9." in report
    assert "| sac | 1 | +0.70 [+0.70, +0.70] | 1.00 |" in report


def test_runs_of_other_lengths_and_error_rates_are_told_apart(tmp_path):
    rows = [("reach", "varl", 0.1, seed, 100, 0.9) for seed in (0, 1, 2)]
    report = reported(tmp_path, [*rows, ("reach", "varl", 0.1, 0, 50, 0.1), ("reach", "varl", 0.3, 0, 100, 0.4)])
    assert "| reach | varl | 3 |" in report
    assert "| reach | varl steps=50 | 1 |" in report
    assert "| reach | varl p=0.3 | 1 |" in report


def test_varl_is_compared_with_sac_of_whatever_error_rate(tmp_path):
    wins = {("varl", 0.3): 0.9, ("rlpd", 0.3): 0.5, ("sac", 0.1): 0.2}
    rows = [("reach", method, rate, seed, 100, won) for (method, rate), won in wins.items() for seed in (0, 1)]
    report = reported(tmp_path, [*rows, ("reach", "sac", 0.3, 1, 100, 0.2)])
    assert "| reach | sac | 2 |" in report, "seed 1's two runs are one"
    assert (
        "| varl | 0.1k | 1 | 0.90 [0.90, 0.90] | 0.90 | [0.90, 0.90] | 0.00 | +0.70 [+0.70, +0.70] | 1.00 |" in report
    )
    assert "| sac | 1 | +0.70 [+0.70, +0.70] | 1.00 |" in report


def test_what_some_runs_have_beside_what_all_share_keeps_varl_comparable(tmp_path):
    wins = {"sac[net=256,trigger=[5, 6]]": 0.2, "varl[net=256,trigger=[5, 6]]": 0.9}
    wins |= {"varl[net=256,trigger=[5, 6],gate=none]": 0.5, "varl-vlm[advisor-file=a,net=256,trigger=[5, 6]]": 0.6}
    report = reported(tmp_path, [("reach", method, 0.1, 0, 100, won) for method, won in wins.items()])
    assert "steps=100, net=256,trigger=[5, 6]." in report
    assert (
        "| varl[gate=none] | 0.1k | 1 | 0.50 [0.50, 0.50] | 0.50 | [0.50, 0.50] | 0.00 | +0.30 [+0.30, +0.30] | 1.00 |"
        in report
    )
    assert "| sac | 1 | +0.70 [+0.70, +0.70] | 1.00 |" in report
    assert "| varl-vlm[advisor-file=a] | 1 | +0.30 [+0.30, +0.30] | 1.00 |" in report


def test_runs_of_another_length_are_told_at_their_end_and_compared_with_sac_as_long(tmp_path):
    wins = {("sac", 200): 0.3, ("varl", 200): 0.9, ("rlpd", 200): 0.8, ("sac", 100): 0.1, ("varl", 100): 0.5}
    for (method, steps), won in wins.items():
        for step, rate in ((steps // 2, ""), (steps, won)):
            row = ["reach", method, 0.1, 0, steps, step, rate, won, 1, 0, 0, 0.0, 1.0]
            trainer.append(tmp_path / "evals.csv", [row])
    write_report(tmp_path / "evals.csv", tmp_path)
    report = (tmp_path / "report.md").read_text()
    assert "| reach | varl steps=100 | 1 | 0.50 |  |" in report
    assert (
        "| varl steps=100 | 0.1k | 1 | 0.50 [0.50, 0.50] | 0.50 | [0.50, 0.50] | 0.00 | +0.40 [+0.40, +0.40] | 1.00 |"
        in report
    )


def test_success_at_a_step_is_never_that_of_an_earlier_one(tmp_path):
    for step, rate in ((24_000, ""), (32_000, 0.2), (48_000, ""), (56_000, 0.6), (60_000, 0.9)):
        row = ["reach", "sac", 0.1, 0, 60_000, step, rate, 0.0, 1, 0, 0, 0.0, 1.0]
        trainer.append(tmp_path / "evals.csv", [row])
    write_report(tmp_path / "evals.csv", tmp_path)
    assert "| reach | sac | 1 | 0.20 | 0.60 | 0.90 |" in (tmp_path / "report.md").read_text()


def test_a_task_or_method_named_twice_is_trained_once(tmp_path, monkeypatch):
    trained: list[Setting] = []
    monkeypatch.setattr(runner, "_train_all", lambda missing, *_: trained.extend(missing))
    monkeypatch.setattr(runner, "write_report", lambda *_: None)
    bench(tmp_path, "--tasks", "reach", "reach", "--methods", "sac", "sac")
    assert [setting.label for setting in trained] == ["sac"]


def test_a_finished_run_of_another_size_is_not_taken_for_this_one(tmp_path, monkeypatch):
    trained: list[Setting] = []
    monkeypatch.setattr(runner, "_train_all", lambda missing, *_: trained.extend(missing))
    monkeypatch.setattr(runner, "write_report", lambda *_: None)
    for method in ("sac", "varl"):
        trainer.append(tmp_path / "evals.csv", [["reach", method, 0.1, 0, 40, 40, 0.0, 0.0, -1, 0, 0, 0.0, 1.0, "abc"]])
    bench(tmp_path)
    assert not trained
    bench(tmp_path, "--net", "32", "--update-every", "1")
    assert [setting.label for setting in trained] == ["sac[net=32,update_every=1]", "varl[net=32,update_every=1]"]


def test_whatever_differs_is_another_run():
    plain = Setting("reach", "varl", 0, 100, 0.1)
    changes: list[dict[str, Any]] = [
        {"net": 32},
        {"update_every": 1},
        {"misplaced": 0.1},
        {"altered": (("gate", "none"),)},
    ]
    others = [dataclasses.replace(plain, **change) for change in changes]
    assert plain.label == "varl"
    assert others[0].label == "varl[net=32]"
    assert len({_key(setting) for setting in (plain, *others)}) == 5


def bench(out, *arguments):
    main(
        ["--tasks", "reach", "--methods", "sac", "varl", "--steps", "40", "--seeds", "1", "--out", str(out), *arguments]
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--set", "gate"], "NAME=VALUE"),
        (["--seeds", "0"], "whole number of 1 or more"),
        (["--steps", "-5"], "whole number of 1 or more"),
        (["--net", "0"], "whole number of 1 or more"),
        (["--processes", "0"], "whole number of 1 or more"),
        (["--update-every", "0"], "whole number of 1 or more"),
        (["--error-rate", "1.5"], "share from 0 to 1"),
        (["--misplaced", "-1"], "0 m or more"),
        (["--misplaced", "inf"], "0 m or more"),
        (["--first-seed", "-1"], "whole number of 0 or more"),
        (["--set", "error_rate=1.5"], "share from 0 to 1"),
        (["--set", "_init_setup_model=false"], "unknown setting"),
        (["--set", "gat=none"], "did you mean 'gate'"),
        (["--methods", "rlpd", "--set", "trigger=1000"], "a list of steps"),
    ],
)
def test_an_argument_that_cannot_be_is_refused_in_a_sentence(tmp_path, capsys, arguments, says):
    with pytest.raises(SystemExit) as end:
        bench(tmp_path, *arguments)
    assert says in f"{capsys.readouterr().err} {end.value}"


def test_nobody_elses_file_is_overwritten(tmp_path):
    (tmp_path / "evals.csv").write_text("my,own\n1,2\n")
    with pytest.raises(SystemExit, match="other columns"):
        bench(tmp_path)
    assert (tmp_path / "evals.csv").read_text() == "my,own\n1,2\n"
    with pytest.raises(SystemExit, match="cannot be made"):
        bench(tmp_path / "evals.csv" / "below")


def test_rivals_say_what_they_got_from_the_advisor(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "POINTS", 1)
    altered = (
        ("learning_starts", 10),
        ("trigger", [20, 50]),
        ("states_per_query", 8),
        ("batch_size", 16),
        ("window", 20),
    )
    for method in ("rlpd", "execute", "execute-plans", "varl-labels"):
        trainer.train(
            Setting("reach", method, 0, 60, 0.1, net=16, altered=altered), tmp_path / "evals.csv", lambda _: None
        )
    with (tmp_path / "evals.csv").open() as file:
        rows = {row["method"].split("[")[0]: row for row in csv.DictReader(file)}
    assert {name: (row["queries"], row["labels"]) for name, row in rows.items()} == {
        "rlpd": ("0", "16"),
        "execute": ("2", "16"),
        "execute-plans": ("2", "16"),
        "varl-labels": ("2", "16"),
    }


@pytest.mark.parametrize("method", ["rlpd", "execute"])
def test_the_seconds_of_who_acts_are_counted(method):
    setting = Setting("reach", method, 0, 60, 0.1, net=16, altered=(("trigger", [20]), ("states_per_query", 8)))
    model: Any = make_model(setting)
    model.executor.seconds = 1.5
    row = dict(zip(trainer.COLUMNS, trainer._row(setting, model, None, -1, 0.0), strict=True))
    assert row["advisor_s"] == 1.5


def test_plans_that_are_executed_act_in_every_other_episode_and_are_not_cloned():
    altered = (("learning_starts", 10), ("trigger", [20]), ("states_per_query", 8), ("window", 20))
    model: Any = make_model(Setting("reach", "execute-plans", 0, 200, 0.0, misplaced=0.0, net=16, altered=altered))
    act = trainer.Acting(model)
    for _ in range(30):
        trainer._advance(model, act)
    assert len(model.guidance.plans) == 1
    own = np.zeros((1, 3), np.float32)
    advised = model.guidance.label(model._last_obs, model.consultation.scene)
    for ended in (2, 3):
        model.successes.ended = ended
        model.turns.note(np.array([True]), [{}])
        assert np.allclose(model.turns.with_advice(own), own if ended == 2 else advised)
    assert [guidance for _, guidance in model.sampler.batches(2, 8)] == [None, None]
    model.released_at = 60_000
    model.num_timesteps = 80_000
    assert model.turns.with_advice(own) is own, "as long as they would guide"


def advised_by_plans(method):
    altered = (("learning_starts", 10), ("trigger", [20]), ("states_per_query", 8), ("batch_size", 16))
    model = make_model(Setting("reach", method, 0, 200, 0.0, net=16, misplaced=0.0, altered=altered))
    act = trainer.Acting(model)
    for _ in range(40):
        trainer._advance(model, act)
    return model


def test_the_plan_alone_acts_and_is_examined():
    model: Any = advised_by_plans("plan")
    assert trainer.examine(model, make_env("reach", 1)) == 1.0
    assert model.successes.episodes > 0


def test_what_is_proposed_acts_and_counts_where_the_critics_prefer_it():
    """IBRL: the greater of two values, in acting and in the targets."""
    model: Any = advised_by_plans("ibrl")
    advised, own = model.guidance.label(model._last_obs, model.consultation.scene), np.full((1, 3), -0.9, np.float32)
    for sign in (1.0, -1.0):  # critics that prefer one of the two, and then the other
        model.value = lambda critic, states, actions, sign=sign: sign * th.as_tensor(actions).sum(1, keepdim=True)
        better = max(advised, own, key=lambda action: sign * action.sum())
        assert np.allclose(model.turns.with_advice(own), better)
    (batch,) = super(type(model.sampler), model.sampler).draw(1, 16)
    given = model.guidance.label(batch.next_observations.numpy(), model.consultation.scene)
    model.advised = lambda observations, otherwise: given
    model.value = lambda critic, states, actions: th.full((len(states), 1), 9.0 if actions is given else 0.0)
    gain = model.bootstrapped(batch).rewards - batch.rewards
    assert (gain[batch.dones == 0] > 0).all(), "the plans' action is worth more than the policy's"
    assert (gain[batch.dones == 1] == 0).all()


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    command = [sys.executable, "-m", "benchmarks.advice", "--tasks", "reach", "--methods", "sac", "--seeds", "2"]
    command += ["--steps", "200000", "--net", "16", "--processes", "2", "--out", str(tmp_path)]
    parent = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: (tmp_path / "evals.csv").exists(), 120)
        children = [int(pid) for pid in Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()]
        assert len(children) >= 3  # two workers, and who passes their progress on
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: not any(alive(pid) for pid in children), 20)


def wait_for(condition, seconds):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_the_interquartile_mean_drops_a_quarter_at_each_end():
    assert statistics.iqm(np.array([0.0, 1.0, 2.0, 100.0])) == 1.5
    assert statistics.iqm(np.arange(6)) == pytest.approx((0.5 * 1 + 2 + 3 + 0.5 * 4) / 3)
    scores = {"a": np.array([0.9, 1.0, 0.8]), "b": np.array([0.5, 0.6, 0.7])}
    rival = {"a": np.array([0.1, 0.0, 0.2]), "b": np.array([0.5, 0.6, 0.7])}
    gap, low, high = statistics.gap_interval(scores, rival)
    assert gap == pytest.approx(0.4)
    assert low < gap < high
    assert statistics.probability_of_improvement(scores, rival) == pytest.approx(0.75)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_varl_is_above_sac_within_minutes(tmp_path):
    from benchmarks.advice.smoke import main

    assert main(tmp_path) == 0


def test_an_unknown_task_or_method_is_refused_in_a_sentence():
    with pytest.raises(VarlError, match="did you mean 'sac'"):
        Setting("reach", "sak", 0, 100, 0.1)
    pytest.importorskip("metaworld")
    with pytest.raises(VarlError, match="did you mean 'coffee-button-v3'"):
        make_env("coffee-buton-v3", 0)


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
