"""Learning curves that can be read: a few methods a panel, a name at the end of each line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import EngFormatter

from benchmarks.advice.curves import OURS, Curves
from benchmarks.advice.statistics import interval, iqm

MOST = 4  # lines a panel
APART = 0.055  # of the axis between two names
BANDS = 100  # resamples of an interval in a picture


def plot(curves: Curves, out: Path) -> None:
    """``curves.png`` and ``curves.svg`` in ``out``: over all tasks VARL beside a few of the others a panel, then each
    task with the first few methods."""
    first, *others = sorted(curves.methods, key=lambda method: method != OURS)
    groups = [[first, *others[i : i + MOST - 1]] for i in range(0, len(others), MOST - 1)] or [[first]]
    panels = [("all tasks", group, True) for group in groups]
    panels += [(task, groups[0], False) for task in curves.tasks] if len(curves.tasks) > 1 else []
    columns = min(2, len(panels))  # so wide that a page shows the words at their size
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4.1 * columns, 2.9 * rows), squeeze=False, sharey=True, layout="constrained"
    )
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (title, methods, banded) in zip(axes.flat, panels, strict=False):
        _panel(axis, curves, title, methods, banded)
    for axis in axes[:, 0]:
        axis.set_ylabel("success, last 50 episodes")
    for suffix in ("png", "svg"):
        figure.savefig(out / f"curves.{suffix}", dpi=110)
    plt.close(figure)


def _panel(axis: Any, curves: Curves, title: str, methods: list[str], banded: bool) -> None:
    ends = []
    for method in methods:
        tasks = curves.tasks if banded else [title]
        steps, rates = curves.training(method, tasks)
        if len(steps) == 0:
            continue
        color = f"C{curves.methods.index(method) % 10}"
        middle = [iqm(np.concatenate([runs[:, k] for runs in rates.values()])) for k in range(len(steps))]
        axis.plot(steps, middle, color=color)
        ends.append((middle[-1], steps[-1], method, color))
        if banded:
            spans = [
                interval({task: runs[:, k] for task, runs in rates.items()}, iqm, resamples=BANDS)
                for k in range(len(steps))
            ]
            axis.fill_between(steps, *zip(*spans, strict=True), color=color, alpha=0.15, linewidth=0)
    height = -np.inf
    for middle_end, step, method, color in sorted(ends):
        height = max(height + APART, middle_end)
        place = {"xy": (step, middle_end), "xytext": (step * 1.02, height), "va": "center"}
        axis.annotate(method, **place, color=color, fontsize=8, annotation_clip=False)
    axis.set(title=title, xlabel="environment steps", ylim=(-0.02, 1.02))
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))  # 20k: long numbers run into each other
    axis.spines[["top", "right"]].set_visible(False)
