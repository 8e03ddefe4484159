"""Which goals a gripper's action server is sent: no more than needed, and each until it is carried out. ROS-free."""

from __future__ import annotations

import time
from collections.abc import Callable

# A goal that differs by less than this share of the way is the same goal: actions are not sent at the control rate.
_SAME = 0.02
_TRIES = 3
_PAUSE = 0.5  # s between two tries
_PATIENCE = 2.0  # s for the server to accept a goal


class GripperGoals:
    """Follows one goal from being asked for to being carried out.

    A goal that is refused, given up or not answered is tried again after a pause; :meth:`problem` tells after a few
    tries. A server that comes back is sent its goal again.
    """

    def __init__(self, stroke: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``stroke``: the whole way between open and closed, m (rad)."""
        self._same, self._clock = _SAME * abs(stroke), clock
        self._server: object = None
        self._goal: float | None = None
        self._asked_at: float | None = None  # while the server has not answered
        self._again_at: float | None = None  # when a goal that failed is to be tried again
        self._failures = 0
        self._words = ""

    def due(self, wanted: float, server: object) -> bool:
        """Whether to send ``wanted`` now to ``server``, another after each restart; None: there is none."""
        now = self._clock()
        if server != self._server:
            self._server, self._goal, self._asked_at = server, None, None
        if server is None:
            return False
        if self._asked_at is not None:
            if now - self._asked_at <= _PATIENCE:
                return False
            self.failed("is not answered")
        if self._again_at is not None:
            return now >= self._again_at
        return self._goal is None or abs(wanted - self._goal) > self._same

    def asked(self, goal: float) -> None:
        """``goal`` was sent."""
        self._goal, self._asked_at, self._again_at = goal, self._clock(), None

    def accepted(self) -> None:
        """The server carries it out."""
        self._asked_at = None

    def done(self) -> None:
        """It was carried out, or the fingers hold something on their way."""
        self._failures = 0

    def failed(self, words: str) -> None:
        """What the server did not do: "is rejected"."""
        self._asked_at, self._again_at = None, self._clock() + _PAUSE
        self._failures, self._words = self._failures + 1, words

    def forgive(self) -> None:
        """A person looked: try from the start."""
        self._goal = self._asked_at = self._again_at = None
        self._failures = 0

    def problem(self) -> str | None:
        """What a person must look after, in a sentence."""
        if self._failures < _TRIES:
            return None
        return f"the gripper's goal {self._words}, {self._failures} times; look at the gripper and its driver"
