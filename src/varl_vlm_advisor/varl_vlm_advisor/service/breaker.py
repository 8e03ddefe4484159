"""A circuit breaker: leaves alone a backend that has just failed several times in a row (Nygard, Release It!, 2007)."""

from __future__ import annotations

import time
from collections.abc import Callable

from varl_common.advice_status import AdviceStatus

from varl_vlm_advisor.service.config import BreakerConfig
from varl_vlm_advisor.types import NoAdvice


class Breaker:
    """Closed while calls succeed; open, and refusing, for ``rest`` seconds after ``failures`` in a row; then one call
    is let through, which closes it by success and opens it again by failure."""

    def __init__(self, config: BreakerConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._probing = False

    @property
    def open(self) -> bool:
        """Whether calls are refused."""
        return self._failures >= self._config.failures

    def enter(self) -> None:
        """Ask to make a call.

        Raises:
            NoAdvice: UNAVAILABLE, when the breaker is open.
        """
        if not self.open:
            return
        wait = self._open_until - self._clock()
        if wait > 0 or self._probing:
            raise NoAdvice(AdviceStatus.UNAVAILABLE, "the model has failed several times in a row and is left alone")
        self._probing = True

    def succeeded(self) -> None:
        """The call that entered brought a reply."""
        self._failures, self._probing = 0, False

    def failed(self) -> None:
        """The call that entered brought none."""
        self._failures += 1
        self._probing = False
        if self.open:
            self._open_until = self._clock() + self._config.rest

    def abandoned(self) -> None:
        """The call that entered was given up for a reason of ours."""
        self._probing = False
