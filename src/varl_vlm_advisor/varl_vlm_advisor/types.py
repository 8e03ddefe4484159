"""What is asked and what is answered: the messages of ``varl_interfaces`` without ROS, field for field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from varl_common.advice_status import AdviceStatus
from varl_common.frame import Frame
from varl_common.plan import Plan

GRIPPER = "gripper"
TOOL = "tool"


class NoAdvice(Exception):
    """A state cannot be advised on: ``status`` and ``reason`` say why.

    Where ``retry`` is true, asking again can succeed, after ``retry_after`` seconds at the earliest. ``answered``: the
    model may have answered, in vain, and its answer is paid for.
    """

    def __init__(
        self, status: AdviceStatus, reason: str, retry: bool = False, retry_after: float = 0.0, answered: bool = False
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry = retry
        self.retry_after = retry_after
        self.answered = answered


@dataclass(frozen=True)
class State:
    """A transition of the agent's past (AdviceState.msg); arrays are float32, actions in [-1, 1]."""

    id: int
    state: NDArray[np.float32]
    action: NDArray[np.float32]
    next_state: NDArray[np.float32]
    reward: float
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True)
class Advice:
    """The answer for one state (Advice.msg)."""

    id: int
    status: AdviceStatus
    action: NDArray[np.float32] | None = None
    confidence: float = 0.0
    reason: str = ""
    waypoints: NDArray[np.float32] | None = None
    """(k, 4) of a trajectory: x, y, z and the gripper's opening, see :mod:`varl_common.trajectories`."""


@dataclass(frozen=True)
class Answers:
    """One advice per state in the order asked, and who answered (the response of GetAdvice.srv)."""

    advice: list[Advice]
    plan: Plan | None
    advisor: str


@dataclass(frozen=True)
class Verdict:
    """Whether a picture shows that the task was accomplished (the response of Judge.srv); no, where it is not told."""

    status: AdviceStatus
    accomplished: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Pointing:
    """Where a picture shows a thing (Pointing.msg): ``pixel`` (2,) x, y; None where it is not visible or not told."""

    status: AdviceStatus
    pixel: NDArray[np.float64] | None = None
    reason: str = ""
