"""The runs of an evals.csv by method and task."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

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
        self.commits = sorted({commit for row in rows if (commit := row.get("commit"))})
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

    def training(self, method: str, tasks: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Steps (k,), and for each of the tasks on which the method was run the success in training of its runs (n, k).

        It is as long as the shortest of the runs.
        """
        runs = {task: found for task in tasks if (found := self.of(method, task))}
        length = min((len(rows) for found in runs.values() for rows in found), default=0)
        rates = {
            task: np.array([[float(row["train_success_rate"]) for row in rows[:length]] for rows in found])
            for task, found in runs.items()
        }
        first = next(iter(runs.values()))[0] if runs else []
        return np.array([int(row["step"]) for row in first[:length]]), rates

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
