"""What is asked and what is answered: the messages of ``varl_interfaces`` without ROS, field for field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from varl_common.plan import Plan

GRIPPER = "gripper"
TOOL = "tool"


class Status(IntEnum):
    """Why a state has an action, or none (the constants of Advice.msg)."""

    OK = 0
    REFUSED = 1
    INVALID = 2
    TIMEOUT = 3
    BUDGET = 4
    UNAVAILABLE = 5


class NoAdvice(Exception):
    """A state cannot be advised on: ``status`` and ``reason`` say why.

    Where ``retry`` is true, asking again can succeed, after ``retry_after`` seconds at the earliest.
    """

    def __init__(self, status: Status, reason: str, retry: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry = retry
        self.retry_after = retry_after


@dataclass
class EnvDescription:
    """The environment that the states come from (EnvDescription.msg)."""

    task: str
    robot: str
    backend: str
    instruction: str
    base_frame: str
    observation_names: Sequence[str]
    observation_units: Sequence[str]
    observation_low: Sequence[float]
    observation_high: Sequence[float]
    action_names: Sequence[str]
    action_units: Sequence[str]
    action_scale: Sequence[float]
    entities: Sequence[str]
    entity_indices: Sequence[int]
    control_period: float
    max_episode_steps: int
    lock_step: bool
    cameras: Sequence[str] = field(default_factory=list)

    def position(self, entity: str, state: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Position of ``entity`` in ``base_frame``, metres, shape (3,); None where the state has none."""
        if entity not in self.entities:
            return None
        index = self.entity_indices[list(self.entities).index(entity)]
        return np.asarray(state[index : index + 3], np.float64)

    @property
    def translations(self) -> list[int]:
        """Indices of dx, dy, dz in an action."""
        return [i for i, name in enumerate(self.action_names) if name in ("dx", "dy", "dz")]


@dataclass(frozen=True)
class Frame:
    """One camera's upright picture (Frame.msg)."""

    camera: str
    jpeg: bytes
    depth: bytes = b""
    k: NDArray[np.float64] | None = None
    """Intrinsic matrix, shape (3, 3), pixels; None where not known."""
    camera_pose: NDArray[np.float64] | None = None
    """Homogeneous transform from the optical frame to ``base_frame``, shape (4, 4); None where not known."""


@dataclass(frozen=True)
class State:
    """A moment of the agent's past (AdviceState.msg); arrays are float32, actions in [-1, 1]."""

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
    status: Status
    action: NDArray[np.float32] | None = None
    confidence: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Answers:
    """One advice per state in the order asked, and who answered (the response of GetAdvice.srv)."""

    advice: list[Advice]
    plan: Plan | None
    advisor: str
