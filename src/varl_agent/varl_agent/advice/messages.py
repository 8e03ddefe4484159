"""What an agent asks an advisor, and what it gets back."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from varl_common.advice_status import AdviceStatus
from varl_common.errors import VarlError
from varl_common.plan import Plan

# Advice is drawn inside the action bounds: the likelihood of a tanh-Gaussian diverges at -1 and 1, and
# atanh(0.8) = 1.1 is a mean that a policy can still leave again.
ADVICE_LIMIT = 0.8


@dataclass(frozen=True)
class AdviceQuery:
    """Transitions of the agent's recent past, n of them.

    Attributes:
        step: environment step at which they are shown.
        states: (n, obs_dim) float32 before the action; a Dict observation is flattened as
            ``gymnasium.spaces.flatten`` does, without its pictures.
        actions: (n, act_dim) float32 in [-1, 1], as executed.
        next_states: (n, obs_dim) float32 after the action.
        rewards: (n,) float32.
        frames: for each transition the camera frames taken before the action, or None.
    """

    step: int
    states: np.ndarray
    actions: np.ndarray
    next_states: np.ndarray
    rewards: np.ndarray
    frames: Sequence[list[Any] | None] = ()

    def __len__(self) -> int:
        return len(self.states)


@dataclass(frozen=True)
class AdviceAnswer:
    """What the advisor would have done.

    Attributes:
        actions: (n, act_dim) float32 in [-1, 1]; a row of nan where there is none.
        status: (n,) uint8 of :class:`AdviceStatus`.
        reasons: the advisor's words, one a state; may be empty.
        plan: advice for any state, of advisors that plan.
        advisor: who answered.
    """

    actions: np.ndarray
    status: np.ndarray
    reasons: Sequence[str] = field(default_factory=list)
    plan: Plan | None = None
    advisor: str = ""

    @classmethod
    def of(cls, actions: np.ndarray, advisor: str = "", plan: Plan | None = None) -> AdviceAnswer:
        """An answer of ``actions`` (n, act_dim); rows with a nan are refused."""
        actions = np.asarray(actions, dtype=np.float32)
        refused = ~np.isfinite(actions).all(axis=1)
        status = np.where(refused, AdviceStatus.REFUSED, AdviceStatus.OK).astype(np.uint8)
        return cls(actions, status, [], plan, advisor)

    @classmethod
    def none(cls, n: int, act_dim: int, status: AdviceStatus, reason: str, advisor: str = "") -> AdviceAnswer:
        """No advice for any of n states, and why."""
        actions = np.full((n, act_dim), np.nan, np.float32)
        return cls(actions, np.full(n, status, np.uint8), [reason] * n, None, advisor)


class Advisor(Protocol):
    """Answers queries. Attribute ``wants_frames`` (default False): its queries should carry camera frames. ``pictures``
    (default None: all): at how many of a query's transitions it looks; no more frames are taken than that needs.
    """

    def ask(self, query: AdviceQuery) -> Future[AdviceAnswer]:
        """Begin to answer; an advisor in process returns a finished future. Never blocks for long."""


def finished(answer: AdviceAnswer) -> Future[AdviceAnswer]:
    """A future that holds ``answer`` already."""
    future: Future[AdviceAnswer] = Future()
    future.set_result(answer)
    return future


def checked(answer: AdviceAnswer, n: int, act_dim: int) -> AdviceAnswer:
    """``answer`` fit for the guidance buffer: right shapes, usable rows finite and within +-``ADVICE_LIMIT``.

    A row marked OK that is not finite becomes INVALID; an answer of the wrong shape is INVALID throughout
    (its plan is kept: it does not depend on the rows).

    Raises:
        VarlError: it is no answer.
    """
    if not isinstance(answer, AdviceAnswer):
        raise VarlError(f"the advisor answered with {type(answer).__name__}, expected an AdviceAnswer")
    actions, status = np.asarray(answer.actions, np.float32), np.asarray(answer.status, np.uint8)
    if actions.shape != (n, act_dim) or status.shape != (n,):
        reason = f"answer of shape {actions.shape}, expected {(n, act_dim)}"
        invalid = AdviceAnswer.none(n, act_dim, AdviceStatus.INVALID, reason, answer.advisor)
        return replace(invalid, plan=answer.plan)
    finite = np.isfinite(actions).all(axis=1)
    status = np.where((status == AdviceStatus.OK) & ~finite, AdviceStatus.INVALID, status).astype(np.uint8)
    return replace(answer, actions=np.clip(actions, -ADVICE_LIMIT, ADVICE_LIMIT), status=status)
