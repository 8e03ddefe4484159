"""The table and the figure of ``benchmarks.advisor_quality``: an advisor's quality against success with it."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

Key = tuple[str, str, str]
"""Task, scenes, advisor."""


def report(runs: Path, quality: Path, out: Path) -> None:
    """Write ``table.md`` and ``figure.png`` of the rows that there are."""
    judged: dict[Key, tuple[float, str]] = {}
    for row in _rows(quality):
        judged[_key(row)] = float(row["signs"]), row["point_error"]
    succeeded: dict[Key, list[float]] = defaultdict(list)
    for row in _rows(runs):
        succeeded[_key(row)].append(float(row["success"]))
    lines = [
        "| task | scenes | advisor | signs right | point error | success of each seed | mean |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, rates in sorted(succeeded.items()):
        signs, error = judged.get(key, (float("nan"), ""))
        told = [*key, "" if np.isnan(signs) else f"{signs:.2f}", error and f"{100 * float(error):.1f} %"]
        lines.append(f"| {' | '.join([*told, ', '.join(f'{rate:.2f}' for rate in rates), f'{np.mean(rates):.2f}'])} |")
    (out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _plot(judged, succeeded, out / "figure.png")


def _plot(judged: dict[Key, tuple[float, str]], succeeded: dict[Key, list[float]], file: Path) -> None:
    tasks = sorted({task for task, _, _ in succeeded if any(key[0] == task for key in judged)})
    if not tasks:
        return
    figure, axes = plt.subplots(1, len(tasks), figsize=(5.2 * len(tasks), 4.0), squeeze=False, layout="constrained")
    for axis, task in zip(axes[0], tasks, strict=True):
        for (name, scenes, advisor), rates in succeeded.items():
            if name != task or (name, scenes, advisor) not in judged:
                continue
            looks = judged[name, scenes, advisor][1] != ""
            x, y = judged[name, scenes, advisor][0], float(np.mean(rates))
            axis.plot(x, y, "o" if looks else "s", color="tab:blue" if looks else "tab:gray")
            where = f" ({scenes})" if looks else ""
            axis.annotate(advisor + where, (x, y), textcoords="offset points", xytext=(5, 4), fontsize=8)
        nobody = succeeded.get((task, "any", "nobody"))
        if nobody:
            axis.axhline(float(np.mean(nobody)), color="tab:red", linewidth=1, label="nobody asked")
            axis.legend(loc="upper left", fontsize=8)
        axis.set(
            title=task, xlabel="signs right", ylabel="success at the run's end", ylim=(-0.05, 1.08), xlim=(0, 1.25)
        )
    figure.savefig(file, dpi=130)
    plt.close(figure)


def _rows(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(newline="") as rows:
        return list(csv.DictReader(rows))


def _key(row: dict[str, str]) -> Key:
    return row["task"], row["scenes"], row["advisor"]
