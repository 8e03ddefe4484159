"""One question to the advisor and its answer, without ever holding up training for longer than agreed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import replace
from typing import Any

import numpy as np
from varl_common.advice_status import AdviceStatus
from varl_common.errors import VarlError, expect
from varl_common.plan import Plan, Scene

from varl_agent.advice.messages import AdviceAnswer, AdviceQuery, Advisor, checked
from varl_agent.advice.observations import Observations, to_array, to_tensor, tree_map
from varl_agent.finite import not_finite

_ARRAYS = ("states", "actions", "next_states", "rewards")

log = logging.getLogger(__name__)


class OpenQuestion:
    """A question that waits for its answer. One that was saved is asked again, without its frames.

    Attributes:
        observations: (n, ...) that it is about, as the environment gives them.
        query: the question.
    """

    def __init__(self, observations: Observations, query: AdviceQuery) -> None:
        self.observations = observations
        self.query = query
        self._future: Future[AdviceAnswer] | None = None
        self._asked_at = 0.0  # monotonic seconds

    def ask(self, advisor: Advisor) -> None:
        """Put the question, unless that was done. An advisor that raises counts as unavailable."""
        if self._future is not None:
            return
        future: Future[AdviceAnswer]
        try:
            future = advisor.ask(self.query)
            future.done()  # or it is no future
        except Exception as error:  # whatever an advisor does, training goes on
            future = Future()
            future.set_exception(error)
        self._future, self._asked_at = future, time.monotonic()
        self.query = replace(self.query, frames=())  # the advisor has them; here nobody looks at them again

    def answer(
        self, step: int, delay: int | None, deadline: float, act_dim: int, scene: Callable[[], Scene | None]
    ) -> AdviceAnswer | None:
        """The checked answer if it is its time at ``step``, else None.

        Args:
            delay: environment steps after the question at which its answer is waited for: reproducible. None: it is
                taken at whichever step it is there.
            deadline: seconds after which an answer no longer counts; infinite: it always does.
            scene: gives what a plan is checked against; called where the answer holds one. A plan that cannot be used
                is logged and left out, and the rest of the answer counts.
        """
        assert self._future is not None
        age = time.monotonic() - self._asked_at
        if delay is not None:
            if step < self.query.step + delay:
                return None
            wait = min(max(0.0, deadline - age), threading.TIMEOUT_MAX)
        elif self._future.done() or age > deadline:
            wait = 0.0
        else:
            return None
        n = len(self.query)
        try:
            answer = checked(self._future.result(timeout=wait), n, act_dim)
        except NotInTime:
            self._future.cancel()
            return AdviceAnswer.none(n, act_dim, AdviceStatus.TIMEOUT, f"no answer within {deadline:g} s")
        except Exception as error:  # what it raised, or an answer that is none
            log.warning("the advisor failed: %s", error)
            return AdviceAnswer.none(n, act_dim, AdviceStatus.UNAVAILABLE, str(error))
        return _with_usable_plan(answer, self.query.states, act_dim, scene)

    def state_dict(self) -> dict[str, Any]:
        """The question as tensors."""
        return {
            "step": self.query.step,
            "observations": tree_map(self.observations, to_tensor),
            **{name: to_tensor(getattr(self.query, name)) for name in _ARRAYS},
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> OpenQuestion:
        """Inverse of :meth:`state_dict`; it is yet to be asked again."""
        arrays = {name: to_array(state[name]) for name in _ARRAYS}
        query = AdviceQuery(state["step"], **arrays, frames=[None] * len(arrays["states"]))
        return cls(tree_map(state["observations"], to_array), query)

    def __getstate__(self) -> dict[str, Any]:
        return self.state_dict()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(OpenQuestion.from_state_dict(state).__dict__)


def _with_usable_plan(
    answer: AdviceAnswer, states: np.ndarray, act_dim: int, scene: Callable[[], Scene | None]
) -> AdviceAnswer:
    """The answer without its plan where that does not fit the environment or gives no action for the shown ``states``
    (n, obs_dim)."""
    if answer.plan is None:
        return answer
    try:
        expect(isinstance(answer.plan, Plan), "it", answer.plan, "a Plan")
        described = scene()
        if described is None:
            raise VarlError("a plan needs an environment with a `description` that names its entities")
        answer.plan.check(described)
        advised = answer.plan.actions(states, described)
        expect(advised.shape == (len(states), act_dim), "its actions' shape", advised.shape, f"(n, {act_dim})")
        if wrong := not_finite("its actions", advised):
            raise VarlError(f"{wrong}, expected finite numbers")
    except Exception as error:  # whatever an advisor takes for a plan, training goes on
        log.warning("a plan of %s is not used: %s", answer.advisor, error)
        values: dict[str, Any] = {**vars(answer), "plan": None}
        return AdviceAnswer(**values)
    return answer
