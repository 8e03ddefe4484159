"""Keeping a control period by the wall clock."""

from __future__ import annotations

import time


class Pacer:
    """Periods that end at absolute deadlines, so that what one is late by is not added to the next.

    Attributes:
        overruns: periods that had already ended when they were waited for; the beat starts anew there.
    """

    def __init__(self, period: float) -> None:
        """``period`` in seconds."""
        self._period = period
        self._deadline: float | None = None
        self.overruns = 0

    def restart(self) -> None:
        """Begin a period now."""
        self._deadline = time.monotonic()

    def wait(self) -> None:
        """Sleep until the present period ends; the next one begins there."""
        now = time.monotonic()
        if self._deadline is None or now > self._deadline + self._period:
            self.overruns += self._deadline is not None
            self._deadline = now
        self._deadline += self._period
        time.sleep(self._deadline - now)
