"""What a run leaves for a person: summary.json, curve.png, pictures of the trained policy, a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from varl_common.files import atomic_write
from varl_common.image_codec import decode_image

from varl_agent.training.evaluation import EpisodeResult
from varl_agent.training.metrics import TrainingMetrics
from varl_agent.training.progress import duration
from varl_agent.training.record import WINDOW, Record
from varl_agent.training.run_folder import RunFolder, write_json

STRIP_PICTURES = 8  # in a row of the strip, from the start of an episode to its end
GIF_FRAME_MS = 50  # the control period of most arms: about real time


def summary(
    metrics: TrainingMetrics, task: str, seed: int, advisor: str, final: Sequence[EpisodeResult]
) -> dict[str, Any]:
    """The run in numbers, as summary.json holds it. ``final``: the episodes of the evaluation at the end."""
    record = metrics.record
    return {
        "task": task,
        "seed": seed,
        "advisor": advisor,
        "success_rate": round(float(np.mean([episode.success for episode in final])), 4),
        "mean_return": round(float(np.mean([episode.episode_return for episode in final])), 4),
        "evaluation_episodes": len(final),
        "steps": record.step,
        "first_success_step": record.first_success_step,
        "wall_s": round(record.wall_s, 1),
        "queries": metrics.advice_queries,
        "advice_asked": metrics.advice_asked,
        "advice_used": metrics.advice_used,
        "training_success_rate": round(record.success_rate, 4),
        "episodes": len(record.episodes),
        "updates": record.updates,
        "utd": round(metrics.utd, 4),
        "updates_per_second": round(record.updates / record.wall_s, 1),
        "action_latency_p99_s": round(metrics.action_latency_p99, 5),
    }


def write_report(folder: RunFolder, values: dict[str, Any], record: Record) -> None:
    """Write summary.json and curve.png."""
    draw_curve(folder.curve, record, title=folder.name)
    write_json(folder.summary, values)


def draw_curve(path: Path, record: Record, title: str) -> None:
    """Success over steps: of the policy's training episodes (mean of the last 50) and of the evaluations."""
    figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    own = record.own
    successes = np.array([episode.success for episode in own], float)
    if len(successes):
        sums = np.concatenate([[0.0], np.cumsum(successes)])
        ends = np.arange(1, len(successes) + 1)
        starts = np.maximum(0, ends - WINDOW)
        mean = (sums[ends] - sums[starts]) / (ends - starts)
        axes.plot([episode.step for episode in own], mean, label=f"training, last {WINDOW} episodes")
    if record.evaluations:
        steps, rates = zip(*((e.step, e.success_rate) for e in record.evaluations), strict=True)
        axes.plot(steps, rates, "o-", label="evaluation")
    axes.set(xlabel="environment steps", ylabel="success rate", ylim=(-0.02, 1.02), title=title)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(loc="center right")  # curves end at the top or, where nothing is learned, stay at the bottom
    with atomic_write(path) as aside:
        figure.savefig(aside, format="png")


def save_pictures(folder: RunFolder, episodes: Sequence[EpisodeResult]) -> list[Path]:
    """Write policy.png (a row of pictures per episode) and policy.gif. Nothing where no episode has frames."""
    shown = [[decode_image(frame.jpeg) for frame in episode.frames] for episode in episodes if len(episode.frames) > 1]
    if not shown:
        return []
    rows = [np.concatenate(_spread(pictures), axis=1) for pictures in shown]
    strip, gif = folder.path / "policy.png", folder.path / "policy.gif"
    with atomic_write(strip) as aside:
        Image.fromarray(np.concatenate(rows)).save(aside, format="PNG")
    # The octree keeps a small thing's colour; by the usual median cut a target of few pixels is grey.
    moving = [
        Image.fromarray(picture).quantize(256, Image.Quantize.FASTOCTREE) for pictures in shown for picture in pictures
    ]
    with atomic_write(gif) as aside:
        moving[0].save(aside, format="GIF", save_all=True, append_images=moving[1:], duration=GIF_FRAME_MS, loop=0)
    return [strip, gif]


def print_table(values: dict[str, Any], folder: RunFolder, commands: Sequence[tuple[str, str]]) -> None:
    """The summary as a table, and what to type next: (command, what it does)."""
    console = Console(highlight=False, soft_wrap=True)
    table = Table(title=folder.name, show_header=False, title_justify="left")
    first = values["first_success_step"]
    rows = [
        ("success", f"{100 * values['success_rate']:.0f} % of {values['evaluation_episodes']} episodes"),
        ("steps", f"{values['steps']} in {duration(values['wall_s'])}"),
        ("first success", "never" if first is None else f"at step {first}"),
        ("updates", f"{values['updates']} ({values['updates_per_second']:.0f}/s)"),
        ("advice", f"times asked: {values['queries']}; used: {values['advice_used']} of {values['advice_asked']}"),
        ("advisor", values["advisor"]),
        ("folder", str(folder.path)),
    ]
    for name, value in rows:
        table.add_row(name, value)
    console.print(table)
    width = max(len(command) for command, _ in commands)
    for command, meaning in commands:
        console.print(f"  {command:<{width}}  {meaning}", markup=False)


def _spread(pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    return [pictures[i] for i in np.linspace(0, len(pictures) - 1, STRIP_PICTURES).round().astype(int)]
