"""The bench's tables: what is compared with what, and the statistics."""

import numpy as np
import pytest

pytest.importorskip("benchmarks.advice.advisors", reason="run from the repository's root")

from benchmarks.advice import statistics, trainer
from benchmarks.advice.report import write_report


def reported(tmp_path, rows):
    """The report of runs (task, method, p, seed, steps in all, success at their end)."""
    for task, method, rate, seed, steps, won in rows:
        trainer.append(
            tmp_path / "evals.csv", [[task, method, rate, seed, steps, steps, won, won, 1, 0, 0, 0.0, 1.0, "abc"]]
        )
    write_report(tmp_path / "evals.csv", tmp_path)
    return (tmp_path / "report.md").read_text()


def test_the_report_compares_methods_on_the_tasks_that_they_share(tmp_path):
    evals = tmp_path / "evals.csv"
    wins = {("reach", "varl"): 1.0, ("push", "varl"): 0.2, ("push", "rlpd"): 0.1, ("reach", "sac"): 0.5}
    for (task, method), rate in wins.items():
        for seed in range(3):
            trainer.append(evals, [[task, method, 0.1, seed, 100, 100, rate, rate, 1, 0, 0, 0.0, 1.0, "abc"]])
    write_report(evals, tmp_path)
    report = (tmp_path / "report.md").read_text()
    assert (
        "| varl | 0.1k | 2 | 0.60 [0.60, 0.60] | 0.60 | [0.20, 1.00] | 0.00 [0.00, 0.00] "
        "| +0.50 [+0.50, +0.50] | 1.00 |" in report
    )
    assert "| rlpd | 0.1k | 1 | 0.10 [0.10, 0.10] | 0.10 | [0.10, 0.10] | 0.00 [0.00, 0.00] |  |  |" in report
    assert "Made by commit abc." in report
    assert "| rlpd | 1 | +0.10 [+0.10, +0.10] | 1.00 |" in report
    assert "| sac | 1 | +0.50 [+0.50, +0.50] | 1.00 |" in report


def test_the_report_tells_how_much_later_wrong_advice_lets_it_succeed_where_sac_does(tmp_path):
    evals = tmp_path / "evals.csv"
    firsts = {("reach", "sac"): (100, 200, 300), ("reach", "varl-wrong"): (210, 250, -1), ("push", "sac"): (-1, 9, 9)}
    firsts |= {("push", "varl-wrong"): (9, 9, 9), ("lift", "sac"): (9, 9, 9), ("lift", "varl-wrong"): (-1, -1, 9)}
    for (task, method), steps in firsts.items():
        for seed, step in enumerate(steps):
            trainer.append(evals, [[task, method, 0.1, seed, 900, 900, 1.0, 1.0, step, 0, 0, 0.0, 1.0, "abc"]])
    write_report(evals, tmp_path)
    report = (tmp_path / "report.md").read_text()
    assert "| reach | varl-wrong | 3, 3 | 200 | 250 | +25% |" in report
    assert "| lift | varl-wrong | 3, 3 | 9 | never in 2 of 3 |  |" in report
    assert "| push | varl-wrong | 3, 3 |" not in report, "SAC succeeds in two of three alone"


def test_the_fall_is_of_the_mean_over_tasks_below_what_it_had_reached():
    steady, fallen = np.array([[0.2, 0.8, 0.8, 1.0]] * 4), np.array([[0.2, 1.0, 0.4, 0.9]] * 4)
    outlier = np.array([[0.0, 1.0, 0.0, 0.0]])
    assert statistics.fall({"one": steady}) == 0.0
    assert statistics.fall({"one": fallen}) == pytest.approx(0.6)
    assert statistics.fall({"one": steady, "other": fallen}) == pytest.approx(0.3)
    assert statistics.fall({"one": np.concatenate([steady, outlier])}) == 0.0, "the interquartile mean of the seeds"


def test_the_falls_interval_is_of_the_seeds():
    steady, fallen = np.array([[0.2, 0.8, 0.8, 1.0]] * 3), np.array([[0.2, 1.0, 0.4, 0.9]] * 3)
    assert statistics.fall_interval({"one": fallen}) == pytest.approx((0.6, 0.6)), "seeds that agree"
    assert statistics.fall_interval({"one": fallen, "other": steady}) == pytest.approx((0.3, 0.3))
    assert statistics.fall_interval({"one": np.concatenate([steady, fallen])}) == pytest.approx((0.0, 0.6))
    assert statistics.fall_interval({}) == (0.0, 0.0)


def test_a_curve_that_stands_still_in_noise_falls_by_an_interval_that_reaches_down_to_none():
    rng, lows = np.random.default_rng(0), []
    for _ in range(10):
        still = {"one": rng.binomial(50, 0.8, (10, 20)) / 50}
        assert statistics.fall(still) > 0.03
        lows.append(statistics.fall_interval(still, resamples=300)[0])
    assert np.mean(lows) < 0.02


def test_with_tasks_drawn_anew_the_interval_is_for_tasks_like_these():
    scores = {"easy": np.full(5, 1.0), "hard": np.full(5, 0.0)}
    assert statistics.interval(scores, statistics.mean_of_tasks) == (0.5, 0.5)
    assert statistics.interval(scores, statistics.mean_of_tasks, tasks_too=True) == (0.0, 1.0)


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_whatever_the_error_rate_varl_is_compared(tmp_path, rate):
    wins = {"sac": 0.2, "varl": 0.9, "rlpd": 0.5}
    report = reported(
        tmp_path, [("reach", method, rate, seed, 100, won) for method, won in wins.items() for seed in (0, 1)]
    )
    assert f"p={rate}, steps=100." in report
    assert "| varl | 0.1k | 1 | 0.90 | 0.90 | [0.90, 0.90] | 0.00 | +0.70 [+0.70, +0.70] | 1.00 |" in report
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
    assert "| varl | 0.1k | 1 | 0.90 | 0.90 | [0.90, 0.90] | 0.00 | +0.70 [+0.70, +0.70] | 1.00 |" in report
    assert "| sac | 1 | +0.70 [+0.70, +0.70] | 1.00 |" in report


def test_what_some_runs_have_beside_what_all_share_keeps_varl_comparable(tmp_path):
    wins = {"sac[net=256,trigger=[5, 6]]": 0.2, "varl[net=256,trigger=[5, 6]]": 0.9}
    wins |= {"varl[net=256,trigger=[5, 6],gate=none]": 0.5, "varl-vlm[advisor-file=a,net=256,trigger=[5, 6]]": 0.6}
    report = reported(tmp_path, [("reach", method, 0.1, 0, 100, won) for method, won in wins.items()])
    assert "steps=100, net=256,trigger=[5, 6]." in report
    assert "| varl[gate=none] | 0.1k | 1 | 0.50 | 0.50 | [0.50, 0.50] | 0.00 | +0.30 [+0.30, +0.30] | 1.00 |" in report
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
    assert "| varl steps=100 | 0.1k | 1 | 0.50 | 0.50 | [0.50, 0.50] | 0.00 | +0.40 [+0.40, +0.40] | 1.00 |" in report


def test_success_at_a_step_is_never_that_of_an_earlier_one(tmp_path):
    for step, rate in ((24_000, ""), (32_000, 0.2), (48_000, ""), (56_000, 0.6), (60_000, 0.9)):
        row = ["reach", "sac", 0.1, 0, 60_000, step, rate, 0.0, 1, 0, 0, 0.0, 1.0]
        trainer.append(tmp_path / "evals.csv", [row])
    write_report(tmp_path / "evals.csv", tmp_path)
    assert "| reach | sac | 1 | 0.20 | 0.60 | 0.90 |" in (tmp_path / "report.md").read_text()


def test_the_interquartile_mean_drops_a_quarter_at_each_end():
    assert statistics.iqm(np.array([0.0, 1.0, 2.0, 100.0])) == 1.5
    assert statistics.iqm(np.arange(6)) == pytest.approx((0.5 * 1 + 2 + 3 + 0.5 * 4) / 3)
    scores = {"a": np.array([0.9, 1.0, 0.8]), "b": np.array([0.5, 0.6, 0.7])}
    rival = {"a": np.array([0.1, 0.0, 0.2]), "b": np.array([0.5, 0.6, 0.7])}
    gap, low, high = statistics.gap_interval(scores, rival)
    assert gap == pytest.approx(0.4)
    assert low < gap < high
    assert statistics.probability_of_improvement(scores, rival) == pytest.approx(0.75)
