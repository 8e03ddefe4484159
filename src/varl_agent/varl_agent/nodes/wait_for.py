"""Waiting for other nodes: by name, out loud, and not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from varl_common.errors import VarlError

REPORT_EVERY = 3.0  # seconds
LOOK_EVERY = 0.05  # seconds


def wait_for(
    ready: Mapping[str, Callable[[], bool]],
    patience: float,
    say: Callable[[str], object],
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Return when every check in ``ready``, by the name of what it waits for, is true, or when ``stopping`` is.

    Raises:
        VarlError: something did not come within ``patience`` seconds.
    """
    began = time.monotonic()
    report_at = began + REPORT_EVERY
    while not stopping():
        missing = [name for name, there in ready.items() if not there()]
        if not missing:
            return
        now = time.monotonic()
        names = ", ".join(missing)
        if now - began > patience:
            raise VarlError(f"{names} did not come within {patience:g} s; is its node running, in the same namespace?")
        if now >= report_at:
            say(f"waiting for {names} ({now - began:.0f} of {patience:.0f} s)")
            report_at = now + REPORT_EVERY
        time.sleep(LOOK_EVERY)
