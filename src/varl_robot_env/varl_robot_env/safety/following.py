"""Whether an arm goes where its controller is told to. ROS-free."""

from __future__ import annotations

from collections import deque

import numpy as np

from varl_robot_env.types import Array

WINDOW = 0.22  # s: an arm that lags by less shows it
_MOVED = 0.03  # rad: more than backlash and friction hide
_SHARE = 0.1  # of the way commanded; less is not following


class Following:
    """Compares the ways that were commanded and measured over the last moments, joint by joint."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, Array, Array]] = deque()

    def begin(self) -> None:
        """What was is of no interest."""
        self._past.clear()

    def joint_that_does_not(self, now: float, commanded: Array, measured: Array) -> int | None:
        """Which joint does not follow, or None.

        Args:
            now: s, monotonic.
            commanded: (n,) rad.
            measured: (n,) rad.
        """
        past = self._past
        past.append((now, commanded, measured))
        while len(past) > 2 and now - past[1][0] >= WINDOW:
            past.popleft()
        if now - past[0][0] < WINDOW:
            return None
        asked = np.ptp(np.array([one[1] for one in past]), axis=0)
        done = np.ptp(np.array([one[2] for one in past]), axis=0)
        stuck = (asked > _MOVED) & (done < _SHARE * asked)
        return int(np.argmax(stuck)) if stuck.any() else None
