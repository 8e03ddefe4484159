"""Whether an arm goes where its controller is told to. ROS-free."""

from __future__ import annotations

from collections import deque

import numpy as np

from varl_robot_env.types import Array

WINDOW = 0.22  # s: an arm that lags by less shows it
_MOVED = 0.03  # rad: more than backlash and friction hide
_NEAR = 0.01  # rad: where it is told to be, but for the servos' error
_APART = 0.05  # rad: farther than servos sag at rest
_UNSEEN = 0.05  # s between two looks
_SHARE = 0.1  # of the way commanded; less is not following


class Following:
    """Compares the ways that were commanded and measured over the last moments, joint by joint.

    A joint does not follow that does next to nothing of a way that it was told to go; nor one that stands still away
    from where it is told to be, to which small commands may add up, or which the leash then holds there.

    Attributes:
        void_for: s for which the joint that does not follow had done nothing of what it was told, at the least.
        void_before: the same, s before :meth:`begin`.
    """

    def __init__(self) -> None:
        self._past: deque[tuple[float, Array, Array]] = deque()
        self._near_at: Array | None = None  # (n,) s: when each joint was last where it was told to be, or moved
        self.void_for = self.void_before = 0.0
        self._apart: Array | float = 0.0  # (n,) s: for how long each joint had been apart when begin was called

    def begin(self) -> None:
        """What was is of no interest, but for a joint that turns out not to have followed."""
        self._apart = self._past[-1][0] - self._near_at if self._near_at is not None and self._past else 0.0
        self._past.clear()
        self._near_at = None

    def joint_that_does_not(self, now: float, commanded: Array, measured: Array) -> int | None:
        """Which joint does not follow, or None.

        Args:
            now: s, monotonic.
            commanded: (n,) rad.
            measured: (n,) rad.
        """
        past, off = self._past, np.abs(commanded - measured)
        if self._near_at is None or off.max() <= _NEAR:
            past.clear()
            self._near_at = np.full(len(measured), now)
        elif now - past[-1][0] > _UNSEEN:  # somebody may have moved the arm meanwhile: that time does not count
            self._near_at += now - past[-1][0]
        past.append((now, commanded, measured))
        while len(past) > 2 and now - past[1][0] >= WINDOW:
            past.popleft()
        asked = np.ptp(np.array([one[1] for one in past]), axis=0)
        done = np.ptp(np.array([one[2] for one in past]), axis=0)
        self._near_at[(off <= _NEAR) | (done >= _SHARE * off)] = now
        if now - past[0][0] < WINDOW:
            return None
        stuck = ((asked > _MOVED) & (done < _SHARE * asked)) | ((off > _APART) & (now - self._near_at > WINDOW))
        if not stuck.any():
            return None
        joint = int(np.argmax(stuck))
        self.void_for = max(WINDOW, now - float(self._near_at[joint]) + WINDOW)
        self.void_before = float(np.broadcast_to(self._apart, off.shape)[joint]) + WINDOW
        return joint
