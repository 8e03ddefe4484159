"""The report of a bench folder: tables, intervals and learning curves from evals.csv alone."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import EngFormatter

from benchmarks.advice.statistics import Scores, gap_interval, interval, iqm, probability_of_improvement

MARKS = (25_000, 50_000, 100_000)  # steps at which success is told
GOOD = 0.9
RATED = {"error_rate": "p=", "total_steps": "steps="}  # columns that tell runs of a method apart, and how it is said
BASE = "sac"  # the rival of every method, altered as the method is where there is such a run
OURS = "varl"  # the rival of every other one


class Curves:
    """The runs of an evals.csv by method and task.

    What is the same in all of them is said once, in ``shared``; a method's name says where it differs from most.
    """

    def __init__(self, evals: Path) -> None:
        with evals.open(newline="") as file:
            rows = list(csv.DictReader(file))
        most = {column: Counter(row[column] for row in rows).most_common(1)[0][0] for column in RATED}
        altered = {row["method"].partition("[")[2] for row in rows}
        common = altered.pop() if len(altered) == 1 else ""
        self.shared = [f"{said}{most[column]}" for column, said in RATED.items()] + ([common[:-1]] if common else [])
        runs: dict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
        for row in rows:
            name = row["method"].removesuffix(f"[{common}")
            name += "".join(f" {said}{row[column]}" for column, said in RATED.items() if row[column] != most[column])
            runs[name, row["task"], row["seed"]].append(row)
        self.runs = {key: sorted(rows, key=lambda row: int(row["step"])) for key, rows in runs.items()}
        self.methods = list(dict.fromkeys(method for method, _, _ in self.runs))
        self.tasks = list(dict.fromkeys(task for _, task, _ in self.runs))

    def of(self, method: str, task: str) -> list[list[dict[str, str]]]:
        """The runs of a method on a task."""
        return [rows for (m, t, _), rows in self.runs.items() if (m, t) == (method, task)]

    def at(self, method: str, mark: int) -> dict[str, np.ndarray]:
        """For each task the success rates of the deterministic policy at step ``mark``, of runs that got there."""
        found = {}
        for task in self.tasks:
            rates = [rate for rows in self.of(method, task) if (rate := _rate_at(rows, mark)) is not None]
            if rates:
                found[task] = np.array(rates)
        return found


def _rate_at(rows: list[dict[str, str]], mark: int) -> float | None:
    """Success at the last examination up to ``mark``; None for a run that ended before."""
    if int(rows[-1]["step"]) < mark:
        return None
    upto = [row for row in rows if int(row["step"]) <= mark and row["success_rate"]]
    return float(upto[-1]["success_rate"]) if upto else None


def write_report(evals: Path, out: Path) -> None:
    """``report.md``, ``curves.png`` and ``curves.svg`` in ``out``."""
    curves = Curves(evals)
    last = max(int(rows[-1]["step"]) for rows in curves.runs.values())
    marks = [mark for mark in MARKS if mark < last] + [last]
    text = ["# Advice bench", "", _method_note(curves), ""]
    text += _table_of_tasks(curves, marks)
    text += _table_of_aggregates(curves, marks)
    text += _table_of_rivals(curves, marks)
    text += ["## Learning curves", "", "![success against environment steps](curves.png)", ""]
    (out / "report.md").write_text("\n".join(text), encoding="utf-8")
    _plot(curves, out)


def _method_note(curves: Curves) -> str:
    return (
        f"All runs, where a method's name does not say otherwise: {', '.join(curves.shared)}.\n"
        "Success of the deterministic policy over 10 fresh episodes; area under the curve of the exploring policy's\n"
        f"success over its last 50 episodes, and the step at which that was first {GOOD:.0%}; first success in\n"
        "training; steps are medians; n runs per row.\n"
        "Intervals are 95 %, by a bootstrap stratified by task."
    )


def _table_of_tasks(curves: Curves, marks: list[int]) -> list[str]:
    heads = [f"at {mark / 1000:g}k" for mark in marks]
    lines = [
        "## By task",
        "",
        f"| task | method | n | {' | '.join(heads)} | area | first success | first at {GOOD:.0%} | queries | labels | "
        "advisor s |",
        "|---|---|---|" + "---|" * (len(marks) + 6),
    ]
    for task in curves.tasks:
        for method in curves.methods:
            runs = curves.of(method, task)
            if not runs:
                continue
            rates = [curves.at(method, mark).get(task) for mark in marks]
            shown = ["" if r is None else f"{r.mean():.2f}" for r in rates]
            area = np.mean([np.mean([float(row["train_success_rate"]) for row in rows]) for rows in runs])
            firsts = [step if (step := int(rows[-1]["first_success_step"])) >= 0 else None for rows in runs]
            goods = [_step_of_success(rows, GOOD) for rows in runs]
            counts = [np.mean([float(rows[-1][name]) for rows in runs]) for name in ("queries", "labels")]
            seconds = np.mean([float(rows[-1]["advisor_s"]) for rows in runs])
            cells = [task, method, str(len(runs)), *shown, f"{area:.2f}", _median_step(firsts), _median_step(goods)]
            cells += [*(f"{count:.0f}" for count in counts), f"{seconds:.2f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _step_of_success(rows: list[dict[str, str]], least: float) -> int | None:
    """The first step at which the exploring policy's success over its last 50 episodes was so high."""
    return next((int(row["step"]) for row in rows if float(row["train_success_rate"]) >= least), None)


def _median_step(steps: list[int | None]) -> str:
    median = float(np.median([np.inf if step is None else step for step in steps]))
    return f"{median:.0f}" if np.isfinite(median) else f"never in {steps.count(None)} of {len(steps)}"


def _table_of_aggregates(curves: Curves, marks: list[int]) -> list[str]:
    lines = [
        "## Over the tasks",
        "",
        f"| method | step | tasks | IQM | mean | mean gap over {BASE} | P(better than {BASE}) |",
        "|---|---|---|---|---|---|---|",
    ]
    for mark in marks:
        for method in curves.methods:
            base = curves.at(_base_of(method, curves.methods), mark)
            scores = curves.at(method, mark)
            if not scores:
                continue
            everything = np.concatenate(list(scores.values()))
            low, high = interval(scores, iqm)
            cells = [
                method,
                f"{mark / 1000:g}k",
                str(len(scores)),
                f"{iqm(everything):.2f} [{low:.2f}, {high:.2f}]",
                f"{everything.mean():.2f}",
            ]
            cells += ["", ""] if method.startswith(BASE) else _compared(scores, base)
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
        shared = set(sides[-1][0]) & set(sides[-1][1])
        lines.append(f"| {rival} | {len(shared)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _compared(scores: Scores, rival: Scores) -> list[str]:
    """The gap with its interval, and the probability of being better; empty where no task is shared."""
    if not set(scores) & set(rival):
        return ["", ""]
    gap, low, high = gap_interval(scores, rival)
    return [f"{gap:+.2f} [{low:+.2f}, {high:+.2f}]", f"{probability_of_improvement(scores, rival):.2f}"]


def _base_of(method: str, methods: list[str]) -> str:
    """``sac[x=1]`` for ``varl[x=1]`` where there is such a run, else ``sac``."""
    altered = BASE + method[method.index("[") :] if "[" in method else BASE
    return altered if altered in methods else BASE


def _plot(curves: Curves, out: Path) -> None:
    columns = min(3, len(curves.tasks))
    rows = -(-len(curves.tasks) // columns)
    legend = 0.25 * -(-len(curves.methods) // columns)  # inches
    size = (max(4.5 * columns, 7.0), 3.2 * rows + legend)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=True, layout="constrained")
    # Ten colors to tell apart; what comes after them is dashed.
    styles = [{"color": f"C{i % 10}", "linestyle": "-" if i < 10 else "--"} for i in range(len(curves.methods))]
    lines: dict[str, Any] = {}
    for axis in axes.flat[len(curves.tasks) :]:
        axis.set_axis_off()
    for axis, task in zip(axes.flat, curves.tasks, strict=False):
        for i, method in enumerate(curves.methods):
            runs = curves.of(method, task)
            length = min((len(run) for run in runs), default=0)
            if length == 0:
                continue
            steps = [int(row["step"]) for row in runs[0][:length]]
            rates = np.array([[float(row["train_success_rate"]) for row in run[:length]] for run in runs])
            lines[method] = axis.plot(steps, rates.mean(axis=0), **styles[i])[0]
            low, high = rates.min(axis=0), rates.max(axis=0)
            axis.fill_between(steps, low, high, color=styles[i]["color"], alpha=0.12, linewidth=0)
        axis.set(title=task, xlabel="environment steps", ylim=(-0.02, 1.02))
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))  # 20k: long numbers run into each other
    axes[0, 0].set_ylabel("success of last 50 episodes")
    figure.legend(list(lines.values()), list(lines), loc="outside lower center", ncols=columns, fontsize=8)
    for suffix in ("png", "svg"):
        figure.savefig(out / f"curves.{suffix}", dpi=120)
    plt.close(figure)
