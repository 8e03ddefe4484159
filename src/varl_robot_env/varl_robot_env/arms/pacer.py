"""Keeping a control period by the wall clock."""

from __future__ import annotations

import time

from varl_robot_env.ros.hot_loop import HotLoop

# The last part of a period is slept through: a callback that begins in it would end too late, s.
_FINE = 0.001


class Pacer:
    """Periods that end at absolute deadlines, so that what one is late by is not added to the next.

    Attributes:
        overruns: periods that had already ended when they were waited for; the beat starts anew there.
    """

    def __init__(self, period: float, loop: HotLoop) -> None:
        """``period`` in seconds; ``loop`` goes on while a period passes."""
        self._period, self._loop = period, loop
        self._deadline: float | None = None
        self.overruns = 0

    def restart(self) -> None:
        """Begin a period now."""
        self._deadline = time.monotonic()

    def wait(self) -> None:
        """Let the present period pass; the next one begins where it ends."""
        now = time.monotonic()
        if self._deadline is None or now > self._deadline + self._period:
            self.overruns += self._deadline is not None
            self._deadline = now
        self._deadline += self._period
        self._loop.spin_until(lambda: False, self._deadline - now - _FINE)
        time.sleep(max(0.0, self._deadline - time.monotonic()))
