"""Asking the advisor and taking in its answer, without ever holding up training for longer than agreed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass
from typing import Any

from varl_common.advice_status import AdviceStatus
from varl_common.errors import VarlError
from varl_common.plan import Scene

from varl_agent.advice.guidance_buffer import GuidanceBuffer, Observations, to_array, to_tensor, tree_map
from varl_agent.advice.messages import AdviceAnswer, AdviceQuery, Advisor, checked

_ARRAYS = ("states", "actions", "next_states", "rewards")

log = logging.getLogger(__name__)


@dataclass
class _Question:
    observations: Observations
    query: AdviceQuery
    future: Future[AdviceAnswer]
    asked_at: float  # monotonic seconds


class Consultation:
    """At most one question at a time.

    Args:
        advisor: who is asked; None: nobody.
        guidance: where answers go.
        delay: environment steps after the question at which its answer is taken in, waiting for it there: lock-step,
            reproducible. None: the answer is taken in at whichever step it is there: real time, never waiting.
        deadline: seconds after which an answer no longer counts.
    """

    def __init__(self, advisor: Advisor | None, guidance: GuidanceBuffer, delay: int | None, deadline: float) -> None:
        self.advisor = advisor
        self.guidance = guidance
        self.delay = delay
        self.deadline = deadline
        self._open: _Question | None = None

    @property
    def waiting(self) -> bool:
        """Whether a question is open."""
        return self._open is not None

    def ask(self, observations: Observations, query: AdviceQuery) -> None:
        """Put the question. An advisor that raises counts as unavailable."""
        assert self.advisor is not None
        future: Future[AdviceAnswer]
        try:
            future = self.advisor.ask(query)
            future.done()  # or it is no future
        except Exception as error:  # whatever an advisor does, training goes on
            future = Future()
            future.set_exception(error)
        self._open = _Question(observations, query, future, time.monotonic())

    def forget(self) -> None:
        """Wait no longer for what was asked."""
        self._open = None

    def take_in(self, step: int, scene: Callable[[], Scene | None]) -> bool:
        """Take in the answer if it is its time, and say whether it was; ``scene`` is asked for where it is a plan."""
        question = self._open
        if question is None:
            return False
        age = time.monotonic() - question.asked_at
        if self.delay is not None:
            if step < question.query.step + self.delay:
                return False
            wait = max(0.0, self.deadline - age)
        elif question.future.done() or age > self.deadline:
            wait = 0.0
        else:
            return False
        self._open = None
        answer = self._answer(question, wait, scene)
        self.guidance.add(question.observations, answer, question.query.step)
        return True

    def state_dict(self) -> dict[str, Any]:
        """The open question, without its frames."""
        if self._open is None:
            return {}
        query = self._open.query
        arrays = {name: getattr(query, name) for name in _ARRAYS}
        return {
            "step": query.step,
            "observations": tree_map(self._open.observations, to_tensor),
            **{name: to_tensor(value) for name, value in arrays.items()},
        }

    def load_state_dict(self, state: dict[str, Any], strict: bool = True) -> None:
        """Ask again what was open (``strict`` is for torch's signature)."""
        self._open = None
        if state and self.advisor is not None:
            arrays = {name: to_array(state[name]) for name in _ARRAYS}
            query = AdviceQuery(state["step"], **arrays, frames=[None] * len(arrays["states"]))
            self.ask(tree_map(state["observations"], to_array), query)

    def _answer(self, question: _Question, wait: float, scene: Callable[[], Scene | None]) -> AdviceAnswer:
        n, act_dim = len(question.query), self.guidance.act_dim
        try:
            answer = checked(question.future.result(timeout=wait), n, act_dim)
        except NotInTime:
            question.future.cancel()
            return AdviceAnswer.none(n, act_dim, AdviceStatus.TIMEOUT, f"no answer within {self.deadline:g} s")
        except Exception as error:  # what it raised, or an answer that is none
            log.warning("the advisor failed: %s", error)
            return AdviceAnswer.none(n, act_dim, AdviceStatus.UNAVAILABLE, str(error))
        return _with_usable_plan(answer, scene)


def _with_usable_plan(answer: AdviceAnswer, scene: Callable[[], Scene | None]) -> AdviceAnswer:
    """The answer without its plan where that does not fit the environment."""
    if answer.plan is None:
        return answer
    try:
        described = scene()
        if described is None:
            raise VarlError("a plan needs an environment with a `description` that names its entities")
        answer.plan.check(described)
    except VarlError as error:
        log.warning("a plan of %s is not used: %s", answer.advisor, error)
        values: dict[str, Any] = {**vars(answer), "plan": None}
        return AdviceAnswer(**values)
    return answer
