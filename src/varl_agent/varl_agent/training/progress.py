"""What a person sees of a training: a bar on a terminal, else a line about every ten seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn
from rich.text import Text

from varl_agent.training.metrics import TrainingMetrics
from varl_agent.training.record import Phase

LINE_EVERY = 10.0  # seconds
DRAW_EVERY = 0.2  # seconds
BAR_WIDTH = 10  # columns: all of it fits into 100


class Display(Protocol):
    """Shows the newest metrics; ``say`` prints a line of words."""

    def show(self, metrics: TrainingMetrics) -> None: ...

    def say(self, words: str) -> None: ...

    def close(self) -> None: ...


def make_display(owns_terminal: bool) -> Display:
    """A bar where the learner owns the terminal, else plain lines."""
    return BarDisplay() if owns_terminal else LineDisplay()


def duration(seconds: float) -> str:
    """``75`` as ``1:15``; ``-`` where not known."""
    if seconds < 0:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def status_line(metrics: TrainingMetrics) -> str:
    """The metrics in a line."""
    record = metrics.record
    state = "" if record.phase == Phase.TRAINING else f"{record.phase.name.lower()}, "
    parts = [
        f"{state}step {record.step}/{record.total_steps}",
        f"success {100 * record.success_rate:.0f} %",
        f"{metrics.updates_per_second:.0f} updates/s",
    ]
    if record.evaluations:
        parts.insert(2, f"evaluated {100 * record.eval_success_rate:.0f} %")
    if metrics.advice_asked:
        gated = f", gate {100 * metrics.gate_open:.0f} % open" if metrics.guided else ", guidance over"
        parts.append(f"advice {metrics.advice_used} of {metrics.advice_asked} used{gated}")
    parts.append(f"{duration(metrics.time_left)} left")
    return ", ".join(parts)


def bar_text(metrics: TrainingMetrics) -> str:
    """The metrics beside a bar."""
    record = metrics.record
    state = "" if record.phase == Phase.TRAINING else f"{record.phase.name.lower()} "
    parts = [f"{state}{record.step}/{record.total_steps}", f"success {record.success_rate:.0%}"]
    if record.evaluations:
        parts.append(f"eval {record.eval_success_rate:.0%}")
    parts.append(f"{metrics.updates_per_second:.0f} updates/s")
    if metrics.advice_asked:
        gate = f", gate {metrics.gate_open:.0%}" if metrics.guided else ""
        parts.append(f"advice {metrics.advice_used}/{metrics.advice_asked}{gate}")
    parts.append(f"{duration(metrics.time_left)} left")
    return " · ".join(parts)


class LineDisplay:
    """A line about every ten seconds, for logs and for output that is read later."""

    def __init__(self, write: Callable[[str], None] = lambda line: print(line, flush=True)) -> None:
        self._write = write
        self._last = -LINE_EVERY

    def show(self, metrics: TrainingMetrics) -> None:
        now = time.monotonic()
        if now - self._last >= LINE_EVERY:
            self._last = now
            self._write(status_line(metrics))

    def say(self, words: str) -> None:
        self._write(words)

    def close(self) -> None:
        pass


class BarDisplay:
    """A bar at the foot of the terminal; what is said scrolls above it."""

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            BarColumn(bar_width=BAR_WIDTH),
            _StatusColumn(),
            console=console or Console(),
            auto_refresh=False,
        )
        self._task = self._progress.add_task("starting", total=None)
        self._last = 0.0
        self._started = False

    def show(self, metrics: TrainingMetrics) -> None:
        now = time.monotonic()
        if now - self._last < DRAW_EVERY:
            return
        self._last = now
        if not self._started:
            self._started = True
            self._progress.start()
        record = metrics.record
        self._progress.update(
            self._task,
            completed=record.step,
            total=record.total_steps,
            words=bar_text(metrics),
        )
        self._progress.refresh()

    def say(self, words: str) -> None:
        # Unwrapped: a line that is copied is to stay one.
        self._progress.console.print(words, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        self._progress.stop()


class _StatusColumn(ProgressColumn):
    """The metrics beside the bar."""

    def render(self, task: object) -> Text:
        return Text(getattr(task, "fields", {}).get("words", ""), overflow="ellipsis", no_wrap=True)
