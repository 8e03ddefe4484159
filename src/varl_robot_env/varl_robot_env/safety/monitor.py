"""Watches over what an arm needs to be moved safely: what must be heard lately, what must not be wrong. ROS-free."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class _Watched:
    limit: float
    remedy: str
    heard: float | None = None


class Monitor:
    """One reason to stop at a time, or none.

    Ages are of monotonic receive times: a driver's own stamps may come from another clock, and one that repeats a
    message is alive but a message that does not come has no stamp to tell. Conditions are set and cleared by what the
    driver says; whoever reads :meth:`reason` decides what to do, and latches it.

    Attributes:
        counts: how often each source gave a reason to stop.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._wrong: dict[str, str] = {}
        self.counts: Counter[str] = Counter()

    def watch(self, name: str, limit: float, remedy: str) -> None:
        """Expect to hear of ``name`` at least every ``limit`` seconds once it was heard of; say ``remedy`` if not."""
        self._watched[name] = _Watched(limit, remedy)

    def heard(self, name: str) -> None:
        """``name`` came just now."""
        self._watched[name].heard = self._clock()

    def unheard(self) -> list[str]:
        """What has never been heard of, each with its remedy."""
        return [f"no {name} yet: {watched.remedy}" for name, watched in self._watched.items() if watched.heard is None]

    def wrong(self, name: str, reason: str) -> None:
        """Something is wrong with ``name`` until :meth:`right` says otherwise."""
        if name not in self._wrong:
            self.counts[name] += 1
        self._wrong[name] = reason

    def right(self, name: str) -> None:
        """All is well with ``name`` again."""
        self._wrong.pop(name, None)

    def silent(self) -> bool:
        """Whether something watched was not heard of in time."""
        now = self._clock()
        return any(item.heard is None or now - item.heard > item.limit for item in self._watched.values())

    def reason(self) -> str | None:
        """Why the arm must not move now, in a sentence; None where nothing is wrong."""
        now = self._clock()
        for name, watched in self._watched.items():
            if watched.heard is None or now - watched.heard > watched.limit:
                age = "ever" if watched.heard is None else f"for {now - watched.heard:.2f} s"
                self.wrong(f"stale {name}", f"no {name} {age}: {watched.remedy}")
            else:
                self.right(f"stale {name}")
        return next(iter(self._wrong.values()), None)
