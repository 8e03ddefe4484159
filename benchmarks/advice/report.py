"""The report of a bench folder: tables, intervals and learning curves from evals.csv alone."""

from __future__ import annotations

import csv
import re
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
BASE = "sac"  # the rival of every method, as altered and as long as it where there is such a run; asks for no advice
OURS = "varl"  # the rival of every other one


class Curves:
    """The runs of an evals.csv by method and task.

    What is the same in all of them is said once, in ``shared``; a method's name says where it differs from most.
    """

    def __init__(self, evals: Path) -> None:
        with evals.open(newline="") as file:
            rows = list(csv.DictReader(file))
        parts = {method: _parts(method) for method in dict.fromkeys(row["method"] for row in rows)}
        advised = [row for row in rows if parts[row["method"]][0] != BASE] or rows
        most = {column: Counter(row[column] for row in advised).most_common(1)[0][0] for column in RATED}
        pairs = [altered for _, altered in parts.values()]
        common = [pair for pair in pairs[0] if all(pair in others for others in pairs)]
        self.shared = [f"{said}{most[column]}" for column, said in RATED.items()]
        self.shared += [",".join(common)] if common else []
        runs: dict[tuple[str, str, str], dict[int, dict[str, str]]] = defaultdict(dict)
        self._parts: dict[str, tuple[str, str]] = {}  # of a name: what is altered, and another length
        for row in rows:
            kind, altered = parts[row["method"]]
            own = ",".join(pair for pair in altered if pair not in common)
            others = {column: f" {said}{row[column]}" for column, said in RATED.items() if row[column] != most[column]}
            if kind == BASE:
                others.pop("error_rate", None)  # whatever the advice, the run is the same
            changed = f"[{own}]" if own else ""
            name = kind + changed + "".join(others.values())
            self._parts[name] = changed, others.get("total_steps", "")
            runs[name, row["task"], row["seed"]].setdefault(int(row["step"]), row)
        self.runs = {key: [steps[step] for step in sorted(steps)] for key, steps in runs.items()}
        self.methods = list(dict.fromkeys(method for method, _, _ in self.runs))
        self.tasks = list(dict.fromkeys(task for _, task, _ in self.runs))

    def base_of(self, method: str) -> str:
        """SAC as altered and as long as the method, ``sac[x=1] steps=9`` for ``varl[x=1] steps=9``, or the nearest."""
        altered, length = self._parts[method]
        nearest = (BASE + altered + length, BASE + altered, BASE + length)
        return next((name for name in nearest if name in self.methods), BASE)

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


def _parts(method: str) -> tuple[str, list[str]]:
    """``varl[net=256,trigger=[1, 2]]`` to ``varl`` and its pairs, ``net=256`` and ``trigger=[1, 2]``."""
    kind, _, altered = method.removesuffix("]").partition("[")
    return kind, re.split(r",(?=[\w-]+=)", altered) if altered else []


def _rate_at(rows: list[dict[str, str]], mark: int) -> float | None:
    """Success at the row in which ``mark`` falls; None where there was no examination, or the run ended before."""
    rate = next((row["success_rate"] for row in rows if int(row["step"]) >= mark), "")
    return float(rate) if rate else None


def write_report(evals: Path, out: Path) -> None:
    """``report.md``, ``curves.png`` and ``curves.svg`` in ``out``."""
    curves = Curves(evals)
    ends = {int(rows[0]["total_steps"]) for rows in curves.runs.values()}
    marks = sorted({mark for mark in MARKS if mark < max(ends)} | ends)
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
        "Success of the deterministic policy over 10 fresh episodes, at the first row of evals.csv from the step\n"
        "on; area under the curve of the exploring policy's success over its last 50 episodes, and the step at which\n"
        f"that was first {GOOD:.0%}; first success in training; steps are medians; n runs per row.\n"
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
            base = curves.at(curves.base_of(method), mark)
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
        shared = {task for ours, theirs in sides for task in ours if task in theirs}
        lines.append(f"| {rival} | {len(shared)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _compared(scores: Scores, rival: Scores) -> list[str]:
    """The gap with its interval, and the probability of being better; empty where no task is shared."""
    if not set(scores) & set(rival):
        return ["", ""]
    gap, low, high = gap_interval(scores, rival)
    return [f"{gap:+.2f} [{low:+.2f}, {high:+.2f}]", f"{probability_of_improvement(scores, rival):.2f}"]


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
