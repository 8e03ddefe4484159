"""Bounded joint accelerations that never cost the ability to stop inside of every other bound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from varl_robot_env.types import Array


class Braking:
    """Steps of joint positions whose change from one period to the next is bounded.

    A bounded acceleration alone runs an arm through a wall that it comes to too fast. So a step is taken only if from
    where it leads the arm can come to rest, at the same bound, without leaving what is ``inside``; otherwise the arm
    brakes, which by the same condition on the step before is possible. Starting at rest inside, it never leaves.
    """

    def __init__(self, acceleration: Array, period: float, inside: Callable[[Array], bool]) -> None:
        """``acceleration``: (n,) rad/s^2. ``period``: s. ``inside``: whether joints (n,) rad are within every bound."""
        self._change = np.asarray(acceleration) * period**2
        self._inside = inside
        self._step = np.zeros_like(self._change)

    def begin(self) -> None:
        """The arm is at rest."""
        self._step = np.zeros_like(self._change)

    def toward(self, joints: Array, goal: Array) -> Array:
        """The positions (n,) rad after one period from ``joints`` towards ``goal``; ``goal`` itself where allowed."""
        step = self._slower(goal - joints, self._step)
        if not self._can_rest(joints + step, step):
            step = self._slower(np.zeros_like(step), self._step)
        self._step = step
        return joints + step

    def _slower(self, wanted: Array, before: Array) -> Array:
        """The step nearest to ``wanted`` on the line from ``before``: all joints change in proportion, for a joint
        left behind would bend the way, from along a wall into it."""
        change = wanted - before
        excess = float((np.abs(change) / self._change).max())
        return wanted if excess <= 1.0 else before + change / excess

    def _can_rest(self, joints: Array, step: Array) -> bool:
        while self._inside(joints):
            if not step.any():
                return True
            step = self._slower(np.zeros_like(step), step)
            joints = joints + step
        return False
