"""A circuit breaker: leaves alone a backend that has just failed several times in a row (Nygard, Release It!, 2007)."""

from __future__ import annotations

import time
from collections.abc import Callable

from varl_common.advice_status import AdviceStatus

from varl_vlm_advisor.service.config import BreakerConfig
from varl_vlm_advisor.types import NoAdvice


class Entry:
    """One call that the breaker has let through, by which its end is told."""


class Breaker:
    """Closed while calls succeed; open, and refusing, for ``rest`` seconds after ``failures`` in a row, or for as long
    as the server has asked for.

    After the rest exactly one call is let through, the probe: its success closes the breaker, its failure begins
    another rest. Calls that entered before the breaker opened decide nothing any more.
    """

    def __init__(self, config: BreakerConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._probe: Entry | None = None
        self._last = NoAdvice(AdviceStatus.UNAVAILABLE, "")

    @property
    def open(self) -> bool:
        """Whether calls are refused, but for the probe."""
        return self._failures >= self._config.failures

    def enter(self) -> Entry:
        """Ask to make a call, whose end must be told with the entry that this returns.

        Raises:
            NoAdvice: the breaker is open; with the reason of the last failure.
        """
        entry = Entry()
        if self.open:
            if self._probe is not None or self._clock() < self._open_until:
                status = AdviceStatus.BUDGET if self._last.status == AdviceStatus.BUDGET else AdviceStatus.UNAVAILABLE
                raise NoAdvice(status, f"left alone after {self._failures} failures, the last: {self._last.reason}")
            self._probe = entry
        return entry

    def succeeded(self, entry: Entry) -> None:
        """The call brought a reply."""
        if not self.open or entry is self._probe:
            self._failures, self._probe = 0, None

    def failed(self, entry: Entry, error: NoAdvice) -> None:
        """The call brought none, but ``error``."""
        if self.open and entry is not self._probe:
            return
        if not self.open:
            self._failures += 1
        self._last, self._probe = error, None
        if self.open:
            self._open_until = self._clock() + max(self._config.rest, error.retry_after)

    def abandoned(self, entry: Entry) -> None:
        """The call was given up for a reason of ours; where it was the probe, another may be."""
        if entry is self._probe:
            self._probe = None

    def silent(self) -> None:
        """A whole request has passed its deadline without one reply: as bad as one failed call."""
        entry = Entry()
        if self.open and self._probe is None:
            self._probe = entry  # in place of the probe that was given up
        self.failed(entry, NoAdvice(AdviceStatus.TIMEOUT, "no reply by the deadline"))
