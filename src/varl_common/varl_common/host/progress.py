"""A bar with the time left, for what takes longer than a person waits without asking what goes on."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PATIENCE = 2.0  # s: what is over sooner shows none

T = TypeVar("T")


def progress(
    items: Iterable[T], what: str, total: int, size: Callable[[T], int] = lambda _: 1, console: Console | None = None
) -> Iterator[T]:
    """``items``, each handed on; meanwhile a bar says how far it is and how long it still takes.

    The bar is on standard error, where that is a terminal, and goes when all is done; with NO_COLOR it has no colours.

    Args:
        total: of the items' sizes, all together.
        size: of an item; each is 1 unless told.
    """
    console = console or Console(stderr=True)
    if not console.is_terminal or os.environ.get("TERM") == "dumb":
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.completed}/{task.total}"))
    times = (TimeElapsedColumn(), TextColumn("gone,"), TimeRemainingColumn(compact=True), TextColumn("left"))
    # What is printed meanwhile goes above the bar, but for a standard output that is a file.
    bar = Progress(*columns, *times, console=console, transient=True, redirect_stdout=sys.stdout.isatty())
    task, begun = bar.add_task(what, total=total), time.monotonic()
    try:
        for item in items:
            yield item
            bar.advance(task, size(item))
            if not bar.live.is_started and time.monotonic() - begun > PATIENCE:
                bar.start()
    finally:
        if bar.live.is_started:
            bar.stop()
        sys.stderr.flush()
