"""The guidance buffer: every answer with its provenance, and the batches that the actor is guided by."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th
from varl_common.advice_status import AdviceStatus
from varl_common.plan import Plan, Scene, vote

from varl_agent.advice.messages import ADVICE_LIMIT, AdviceAnswer

try:
    from varl_agent.advice.plan_labels import Labeller
except ImportError:  # no numba, without which the fast update is not there either
    Labeller = None  # type: ignore[assignment,misc]

CONTRADICTS = 1.5

Observations = np.ndarray | dict[str, np.ndarray]


class GuidanceBuffer:
    """Advised states, plans, and where each came from.

    Attributes:
        observations: (n, ...) as the environment gives them, or a dict of such arrays.
        actions: (n, act_dim) float32, advised, inside +-``ADVICE_LIMIT``; nan where ``status`` is not OK.
        status, confidence: (n,) of :class:`AdviceStatus`; 0..1.
        step: (n,) environment step at which the state was shown; negative: before these were counted from 0 again.
        advisor: (n,) index into ``advisors``.
        advisors: names of those who answered.
        plans: (step, index into ``advisors``, plan), oldest first.
        trusted: (k,) indices of the plans that guide (:meth:`trust`, :meth:`try_next`); None: all.
        chosen_at: episodes that had ended when these were chosen, or last succeeded; None: since the newest plan came.
        asked, queries: states shown and requests made since steps are counted, answered or not.
    """

    def __init__(self, act_dim: int, seed: int | None = None) -> None:
        self.act_dim = act_dim
        self.observations: Observations = np.empty((0,), np.float32)
        self.actions = np.empty((0, act_dim), np.float32)
        self.status = np.empty((0,), np.uint8)
        self.confidence = np.empty((0,), np.float32)
        self.step = np.empty((0,), np.int64)
        self.advisor = np.empty((0,), np.int64)
        self.advisors: list[str] = []
        self.plans: list[tuple[int, int, Plan]] = []
        self.trusted: list[int] | None = None
        self.chosen_at: int | None = None
        self.asked = 0
        self.queries = 0
        self._usable = np.empty((0,), np.int64)
        self._labeller: Callable[[np.ndarray], np.ndarray] | None = None
        self._labels_of: Any = None  # the plans and the scene that it is of
        self._rng = th.Generator()
        self._rng.manual_seed(0 if seed is None else seed)

    @property
    def used(self) -> int:
        """States whose answer can be used."""
        return len(self._usable)

    def add(self, observations: Observations, answer: AdviceAnswer, step: int) -> None:
        """Take in a checked answer about ``observations`` (n, ...), shown at ``step``."""
        if answer.advisor not in self.advisors:
            self.advisors.append(answer.advisor)
        who = self.advisors.index(answer.advisor)
        n = len(answer.status)
        self.queries += 1
        self.asked += n
        if answer.plan is not None:
            self.plans.append((step, who, answer.plan))
            self.trusted = self.chosen_at = None
        if n == 0:
            return
        first = len(self.status) == 0
        self.observations = observations if first else _concat(self.observations, observations)
        self.actions = np.concatenate([self.actions, answer.actions])
        self.status = np.concatenate([self.status, answer.status])
        self.confidence = np.concatenate([self.confidence, answer.confidence])
        self.step = np.concatenate([self.step, np.full(n, step, np.int64)])
        self.advisor = np.concatenate([self.advisor, np.full(n, who, np.int64)])
        self._usable = np.flatnonzero(self.status == AdviceStatus.OK)

    def sample(self, n: int) -> tuple[Observations, np.ndarray]:
        """n usable states, drawn with replacement, and the advised actions (n, act_dim)."""
        rows = self._usable.take(th.randint(len(self._usable), (n,), generator=self._rng).numpy())
        return take(self.observations, rows), self.actions.take(rows, axis=0)

    def label(self, states: np.ndarray, scene: Scene) -> np.ndarray:
        """What the trusted plans together advise in ``states`` (n, obs_dim): (n, act_dim) inside +-``ADVICE_LIMIT``."""
        plans = [plan for _, _, plan in (self.plans if self.trusted is None else [self.plans[i] for i in self.trusted])]
        if self._labeller is None or self._labels_of[1] is not scene or self._labels_of[0] != plans:
            self._labeller, self._labels_of = _labeller(plans, scene), (plans, scene)
        return self._labeller(states).clip(-ADVICE_LIMIT, ADVICE_LIMIT)

    def trust(self, states: np.ndarray, actions: np.ndarray, scene: Scene) -> None:
        """Leave out the plans that contradict ``actions`` (n, act_dim), which led to success from ``states``.

        A vote of plans that agree but for small errors is better than any of them. But plans that are right in ways of
        their own can be wrong together, as one may be in its first phase where another is in its second: on
        coffee-button two that succeed and one that does not made a vote that never did. So those go that are further
        from what succeeded than ``CONTRADICTS`` times the nearest, if the vote of the others agrees with it better than
        that of all. (On ``reach`` a plan that errs to the other side than the rest mends the vote, however far off it
        is by itself.) Better is by the cosine: a vote that is torn gives small actions, and these are never far off.
        """
        advised = [plan.actions(states, scene) for _, _, plan in self.plans]
        errors = np.array([np.abs(each - actions).mean() for each in advised])
        near = np.flatnonzero(errors <= CONTRADICTS * errors.min()).tolist()
        alone, together = vote([advised[i] for i in near]), vote(advised)
        self.trusted = near if _cosine(alone, actions) > _cosine(together, actions) else None

    def try_next(self, ended: int) -> None:
        """Let the next plan guide alone, and after the last one all together again; ``ended``: episodes so far.

        For where those that guide do not bring success: plans that are right one by one may never be so together, and
        then there is no success from which :meth:`trust` could tell.
        """
        last = -1 if self.trusted is None else self.trusted[-1]
        self.trusted = [last + 1] if last + 1 < len(self.plans) else None
        self.chosen_at = ended

    def restart(self, step: int) -> None:
        """Environment steps, questions and states are counted from 0 again, now at ``step``; what is known stays."""
        self.step = self.step - step
        self.plans = [(asked_at - step, who, plan) for asked_at, who, plan in self.plans]
        self.asked = self.queries = 0

    def age(self, step: int) -> float:
        """Mean of the environment steps since the advice in use was asked for."""
        asked = [s for s, _, _ in self.plans] if self.plans else self.step[self._usable]
        return float(step - np.mean(asked)) if len(asked) else 0.0

    def state_dict(self) -> dict[str, Any]:
        """All of it as tensors, so that it loads without unpickling code."""
        plans = [(step, who, plan.as_dict()) for step, who, plan in self.plans]
        words = {"advisors": self.advisors, "plans": plans, "trusted": self.trusted, "chosen_at": self.chosen_at}
        words |= {"asked": self.asked, "queries": self.queries}
        observations = self.observations if isinstance(self.observations, dict) else {"": self.observations}
        arrays = {name: getattr(self, name) for name in ("actions", "status", "confidence", "step", "advisor")}
        return {
            "words": th.frombuffer(bytearray(json.dumps(words).encode()), dtype=th.uint8),
            "rng": self._rng.get_state(),
            "observations": tree_map(observations, to_tensor),
            **tree_map(arrays, to_tensor),
        }

    def load_state_dict(self, state: dict[str, Any], strict: bool = True) -> None:
        """Inverse of :meth:`state_dict`; sampling goes on where it was (``strict`` is for torch's signature)."""
        words = json.loads(state["words"].cpu().numpy().tobytes())
        self.advisors, self.asked, self.queries = words["advisors"], words["asked"], words["queries"]
        self.trusted, self.chosen_at = words["trusted"], words["chosen_at"]
        self.plans = [(step, who, Plan.from_dict(plan)) for step, who, plan in words["plans"]]
        observations = tree_map(state["observations"], to_array)
        self.observations = observations.get("", observations)
        for name in ("actions", "status", "confidence", "step", "advisor"):
            setattr(self, name, to_array(state[name]))
        self._usable = np.flatnonzero(self.status == AdviceStatus.OK)
        self._rng.set_state(state["rng"].cpu())


def _labeller(plans: list[Plan], scene: Scene) -> Callable[[np.ndarray], np.ndarray]:
    if Labeller is not None:
        return Labeller(plans, scene)
    return lambda states: vote([plan.actions(states, scene) for plan in plans])


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9))


def tree_map(value: Any, change: Callable[[Any], Any]) -> Any:
    """``change`` applied to an array, or to each array of a dict."""
    return {key: change(item) for key, item in value.items()} if isinstance(value, dict) else change(value)


def to_tensor(array: np.ndarray) -> th.Tensor:
    """A copy that a state dict can hold."""
    return th.from_numpy(np.array(array))


def to_array(tensor: th.Tensor) -> np.ndarray:
    """Inverse of :func:`to_tensor`."""
    return tensor.cpu().numpy().copy()


def take(observations: Observations, rows: Any) -> Observations:
    """Rows of an array, or of each array of a dict."""
    if isinstance(observations, dict):
        return {key: value.take(rows, axis=0) for key, value in observations.items()}
    return observations.take(rows, axis=0)  # a third of the time of observations[rows]


def _concat(first: Observations, second: Observations) -> Observations:
    if isinstance(first, dict) and isinstance(second, dict):
        return {key: np.concatenate([first[key], second[key]]) for key in first}
    return np.concatenate([first, second])
