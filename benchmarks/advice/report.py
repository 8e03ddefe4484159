"""The report of a bench folder: tables, intervals and learning curves from evals.csv alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.advice.curves import BASE, OURS, Curves
from benchmarks.advice.plots import plot
from benchmarks.advice.setting import is_wrong
from benchmarks.advice.statistics import (
    SPREAD,
    Scores,
    fall,
    fall_interval,
    gap_interval,
    interval,
    iqm,
    mean_of_tasks,
    probability_of_improvement,
)

MARKS = (25_000, 50_000, 100_000)  # steps at which success is told
GOOD = 0.9
SOLVED = 0.8  # share of SAC's runs that succeed at all, from which on it tells how much later others do


def write_report(evals: Path, out: Path) -> None:
    """``report.md``, ``curves.png`` and ``curves.svg`` in ``out``."""
    curves = Curves(evals)
    ends = {int(rows[0]["total_steps"]) for rows in curves.runs.values()}
    marks = sorted({mark for mark in MARKS if mark < max(ends)} | ends)
    text = ["# Advice bench", "", _method_note(curves), ""]
    text += _table_of_tasks(curves, marks)
    text += _table_of_aggregates(curves, marks)
    text += _table_of_rivals(curves, marks)
    text += _table_of_delays(curves)
    text += ["## Learning curves", "", "![success against environment steps](curves.png)", ""]
    (out / "report.md").write_text("\n".join(text), encoding="utf-8")
    plot(curves, out)


def _method_note(curves: Curves) -> str:
    return (
        f"All runs, where a method's name does not say otherwise: {', '.join(curves.shared)}. "
        f"Made by commit {', '.join(curves.commits) or 'not kept'}.\n"
        "Success of the deterministic policy over 10 fresh episodes, at the first row of evals.csv from the step\n"
        "on; area under the curve of the exploring policy's success over its last 50 episodes, and the step at which\n"
        f"that was first {GOOD:.0%}; first success in training; steps are medians; n runs per row.\n"
        "The fall is how far the interquartile mean of that success, over the seeds, was ever below what it had been.\n"
        "Intervals are 95 %, by a bootstrap: of the IQM and of falls each task's seeds are drawn anew, where there\n"
        f"are {SPREAD} or more; of means and gaps the tasks as well. Noise alone makes a curve fall, the further the\n"
        "fewer seeds: of two that stand still at 0.8, by .15."
    )


def _table_of_tasks(curves: Curves, marks: list[int]) -> list[str]:
    heads = [f"at {mark / 1000:g}k" for mark in marks]
    lines = [
        "## By task",
        "",
        f"| task | method | n | {' | '.join(heads)} | area | fall | first success | first at {GOOD:.0%} "
        "| queries | labels | advisor s |",
        "|---|---|---|" + "---|" * (len(marks) + 7),
    ]
    for task in curves.tasks:
        for method in curves.methods:
            runs = curves.of(method, task)
            if not runs:
                continue
            rates = [curves.at(method, mark).get(task) for mark in marks]
            shown = ["" if r is None else f"{r.mean():.2f}" for r in rates]
            area = np.mean([np.mean([float(row["train_success_rate"]) for row in rows]) for rows in runs])
            firsts = _first_successes(runs)
            goods = [_step_of_success(rows, GOOD) for rows in runs]
            counts = [np.mean([float(rows[-1][name]) for rows in runs]) for name in ("queries", "labels")]
            seconds = np.mean([float(rows[-1]["advisor_s"]) for rows in runs])
            cells = [
                task,
                method,
                str(len(runs)),
                *shown,
                f"{area:.2f}",
                _fallen(curves, method, [task]),
                _median_step(firsts),
                _median_step(goods),
            ]
            cells += [*(f"{count:.0f}" for count in counts), f"{seconds:.2f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _fallen(curves: Curves, method: str, tasks: list[str]) -> str:
    rates = curves.training(method, tasks)[1]
    return _with_spread(fall(rates), rates, fall_interval)


def _with_spread(value: float, samples: Scores, spread: Callable[[Scores], tuple[float, float]]) -> str:
    """The value, and its interval where each task has seeds enough to tell of one."""
    enough = min(map(len, samples.values()), default=0) >= SPREAD
    return f"{value:.2f}" + (" [{:.2f}, {:.2f}]".format(*spread(samples)) if enough else "")


def _step_of_success(rows: list[dict[str, str]], least: float) -> int | None:
    """The first step at which the exploring policy's success over its last 50 episodes was so high."""
    return next((int(row["step"]) for row in rows if float(row["train_success_rate"]) >= least), None)


def _first_successes(runs: list[list[dict[str, str]]]) -> list[int | None]:
    return [step if (step := int(rows[-1]["first_success_step"])) >= 0 else None for rows in runs]


def _median(steps: list[int | None]) -> float:
    return float(np.median([np.inf if step is None else step for step in steps]))


def _median_step(steps: list[int | None]) -> str:
    median = _median(steps)
    return f"{median:.0f}" if np.isfinite(median) else f"never in {steps.count(None)} of {len(steps)}"


def _table_of_aggregates(curves: Curves, marks: list[int]) -> list[str]:
    lines = [
        "## Over the tasks",
        "",
        "| method | step | tasks | IQM | mean | mean, tasks drawn anew | fall "
        f"| mean gap over {BASE} | P(better than {BASE}) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for mark in marks:
        for method in curves.methods:
            base = curves.at(curves.base_of(method), mark)
            scores = curves.at(method, mark)
            if not scores:
                continue
            everything = np.concatenate(list(scores.values()))
            cells = [
                method,
                f"{mark / 1000:g}k",
                str(len(scores)),
                _with_spread(iqm(everything), scores, lambda of: interval(of, iqm)),
                f"{everything.mean():.2f}",
                "[{:.2f}, {:.2f}]".format(*interval(scores, mean_of_tasks, tasks_too=True)),
                _fallen(curves, method, curves.tasks),
            ]
            cells += ["", ""] if method == curves.base_of(method) else _compared(scores, base)
            lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _table_of_rivals(curves: Curves, marks: list[int]) -> list[str]:
    rivals = [method for method in curves.methods if method != OURS]
    if OURS not in curves.methods or not rivals:
        return []
    heads = [cell for mark in marks for cell in (f"gap at {mark / 1000:g}k", "P")]
    lines = [
        f"## {OURS} over each of the others",
        "",
        f"Mean gap on the tasks that both have been run on, and P({OURS} better).",
        "",
        f"| over | tasks | {' | '.join(heads)} |",
        "|---|---|" + "---|" * len(heads),
    ]
    for rival in rivals:
        sides = [(curves.at(OURS, mark), curves.at(rival, mark)) for mark in marks]
        cells = [cell for ours, theirs in sides for cell in _compared(ours, theirs)]
        shared = {task for ours, theirs in sides for task in ours if task in theirs}
        lines.append(f"| {rival} | {len(shared)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _table_of_delays(curves: Curves) -> list[str]:
    """What advice that is always wrong costs in steps, where SAC alone succeeds in most runs."""
    wrong = [method for method in curves.methods if is_wrong(method)]
    lines = [
        "## How much later advice that is always wrong lets it succeed",
        "",
        f"On tasks where {BASE} succeeds in {SOLVED:.0%} of its runs or more: the median first success of its own.",
        "",
        f"| task | method | n | {BASE}'s | its | later by |",
        "|---|---|---|---|---|---|",
    ]
    heads = len(lines)
    for task in curves.tasks:
        for method in wrong:
            base, own = (_first_successes(curves.of(of, task)) for of in (curves.base_of(method), method))
            if not base or not own or len(base) - base.count(None) < SOLVED * len(base):
                continue
            later = f"{_median(own) / _median(base) - 1:+.0%}" if np.isfinite(_median(own)) else ""
            cells = [task, method, f"{len(base)}, {len(own)}", _median_step(base), _median_step(own), later]
            lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""] if len(lines) > heads else []


def _compared(scores: Scores, rival: Scores) -> list[str]:
    """The gap with its interval, and the probability of being better; empty where no task is shared."""
    if not set(scores) & set(rival):
        return ["", ""]
    gap, low, high = gap_interval(scores, rival)
    return [f"{gap:+.2f} [{low:+.2f}, {high:+.2f}]", f"{probability_of_improvement(scores, rival):.2f}"]
