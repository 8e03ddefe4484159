"""How far set-up or the site is: a bar with the time left on a terminal; elsewhere the steps' lines are enough."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

_EVERY = 0.5  # s
_WIDTH = 20
# Seconds of each step on two cores; their ratios count, as the time left goes by what this machine took so far.
STEPS = {"torch": 40.0, "packages": 110.0, "workspace": 70.0}


class Bar:
    """One for all steps: it grows with the lines of the log that say that something is done.

    Args:
        log: where the commands of the steps write.
        what: they are for.
        seconds: of each step.
    """

    def __init__(self, log: Path, what: str = "set-up", seconds: Mapping[str, float] = STEPS) -> None:
        self._log, self._what, self._seconds = log, what, seconds
        self._steps: list[tuple[str, str, int, int]] = []
        self._begun = time.monotonic()
        self._end = threading.Event()
        self._shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._thread = threading.Thread(target=self._draw_until_the_end, daemon=True)

    def __enter__(self) -> Bar:
        if self._shown:
            self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._end.set()
        if self._shown:
            self._thread.join()
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)

    def step(self, name: str, done: str, total: int) -> None:
        """A step begins; a line of the log that matches ``done`` is one of ``total``."""
        self._steps.append((name, done, total, self._log.stat().st_size if self._log.exists() else 0))

    def share(self) -> float:
        """What is done, 0 to 1; steps passed over, as nothing in them changed, count not."""
        if not self._steps:
            return 0.0
        name, done, total, begin = self._steps[-1]
        said = self._log.read_bytes()[begin:].decode("utf-8", "replace") if self._log.exists() else ""
        part = min(len(re.findall(done, said, re.MULTILINE)) / total, 1.0)
        past = sum(self._seconds[step] for step, *_ in self._steps[:-1])
        ahead = list(self._seconds.values())[list(self._seconds).index(name) + 1 :]
        return (past + self._seconds[name] * part) / (past + self._seconds[name] + sum(ahead))

    def line(self, share: float, seconds: float) -> str:
        """The bar in words: ``[#####     ]  25 %, 0:40 gone, 2:00 left``."""
        left = _minutes(seconds / share - seconds) if share > 0.02 else "-:--"
        filled = round(_WIDTH * share)
        return f"[{'#' * filled:<{_WIDTH}}] {share:4.0%}, {_minutes(seconds)} gone, {left} left"

    def _draw_until_the_end(self) -> None:
        while not self._end.wait(_EVERY):
            drawn = self.line(self.share(), time.monotonic() - self._begun)
            print(f"\r\x1b[2K{self._what}: {drawn}", end="", file=sys.stderr, flush=True)


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
