"""The guidance buffer: every answer with its provenance, and the states and actions that the actor is guided by."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch as th
from varl_common.advice_status import AdviceStatus
from varl_common.plan import Plan, Scene, as_one, vote
from varl_common.trajectories import Trajectories

from varl_agent.advice.messages import ADVICE_LIMIT, AdviceAnswer
from varl_agent.advice.observations import Observations, concatenated, take, to_array, to_tensor, tree_map

try:
    from varl_agent.advice.plan_labels import Labeller
except ImportError:  # no numba: plans label by numpy
    Labeller = None  # type: ignore[assignment,misc]

VOTE = -1  # in ``tallies``: not a plan but the vote of all; below it: plans beside those that were advised
_COLUMNS = ("actions", "status", "step", "advisor")


class GuidanceBuffer:
    """Advised states, plans, and where each came from.

    Attributes:
        observations: (n, ...) as the environment gives them, or a dict of such arrays.
        actions: (n, act_dim) float32, advised, inside +-``ADVICE_LIMIT``; nan where ``status`` is not OK.
        status: (n,) of :class:`AdviceStatus`.
        step: (n,) environment step at which the state was shown; negative: before steps were counted from 0 again.
        advisor: (n,) index into ``advisors``.
        advisors: names of those who answered.
        plans: (step, index into ``advisors``, plan), oldest first.
        trusted: (k,) indices of the plans that guide, as :mod:`.plan_selection` chose them; None: all.
        trusted_since: episodes that had ended when these were chosen, or last brought success; None: not yet judged.
        tallies: episodes that succeeded and that failed of what :mod:`.plan_trials` tries.
        stages: of the same, where its plan has several, how many it has ever had behind it.
        beside: plans that nobody advised, by numbers below ``VOTE``, and ``passed``: how many were dropped again.
        asked, queries: states shown and requests made since steps are counted, answered or not.
    """

    def __init__(self, act_dim: int, seed: int | None = None) -> None:
        self.act_dim = act_dim
        self.observations: Observations = np.empty((0,), np.float32)
        self.actions = np.empty((0, act_dim), np.float32)
        self.status = np.empty((0,), np.uint8)
        self.step = np.empty((0,), np.int64)
        self.advisor = np.empty((0,), np.int64)
        self.advisors: list[str] = []
        self.plans: list[tuple[int, int, Plan]] = []
        self.trusted: list[int] | None = None
        self.trusted_since: int | None = None
        self.tallies: dict[int, list[int]] = {}
        self.stages: dict[int, int] = {}
        self.beside: dict[int, Plan] = {}
        self.passed = 0
        self.asked = 0
        self.queries = 0
        self._usable = np.empty((0,), np.int64)
        # The plans, the scene, and what labels by some of those plans in that scene, by their indices.
        self._labellers: tuple[list[Plan], Any, dict[tuple[int, ...], Callable[[np.ndarray], np.ndarray]]] = (
            [],
            None,
            {},
        )
        self._rng = th.Generator()
        self._rng.manual_seed(0 if seed is None else seed)

    @property
    def used(self) -> int:
        """States whose answer can be used."""
        return len(self._usable)

    def counts(self) -> dict[str, float]:
        """For the log: requests, states shown, states whose answer is used, plans."""
        return {"queries": self.queries, "asked": self.asked, "used": self.used, "plans": len(self.plans)}

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
            if not self.tallies:  # else it must stand trial first
                self.trusted = self.trusted_since = None
            for kept in (self.tallies, self.stages):
                kept.pop(VOTE, None)  # it is another vote now
        if n == 0:
            return
        first = len(self.status) == 0
        self.observations = observations if first else concatenated(self.observations, observations)
        self.actions = np.concatenate([self.actions, answer.actions])
        self.status = np.concatenate([self.status, answer.status])
        self.step = np.concatenate([self.step, np.full(n, step, np.int64)])
        self.advisor = np.concatenate([self.advisor, np.full(n, who, np.int64)])
        self._usable = np.flatnonzero(self.status == AdviceStatus.OK)

    def sample(self, n: int) -> tuple[Observations, np.ndarray]:
        """n usable states, drawn with replacement, and the advised actions (n, act_dim)."""
        rows = self._usable.take(th.randint(len(self._usable), (n,), generator=self._rng).numpy())
        return take(self.observations, rows), self.actions.take(rows, axis=0)

    def plan(self, number: int) -> Plan:
        """The plan of that number: of ``plans``, or of ``beside`` where it is below ``VOTE``."""
        return self.beside[number] if number < VOTE else self.plans[number][2]

    def knows(self, number: int) -> bool:
        """Whether there is a plan of that number; of ``VOTE`` there is."""
        return number >= VOTE or number in self.beside

    def add_beside(self, plan: Plan) -> int:
        """Keep a plan that nobody advised; its number."""
        number = VOTE - 1 - self.passed - len(self.beside)
        self.beside = {**self.beside, number: plan}  # replaced, as another thread may read it
        return number

    def drop_beside(self, number: int) -> None:
        """Forget the plan of that number."""
        self.beside = {other: plan for other, plan in self.beside.items() if other != number}
        for kept in (self.tallies, self.stages):
            kept.pop(number, None)
        self.passed += 1

    def noise(self, n: int) -> np.ndarray:
        """(n, 3) normal numbers."""
        return th.randn((n, 3), generator=self._rng).numpy()

    def chance(self, n: int) -> int:
        """One of 0 .. n-1."""
        return int(th.randint(n, (1,), generator=self._rng))

    @property
    def guides(self) -> bool:
        """Whether there is an answer to be guided by: a trusted plan or, where no plan came, a state's action."""
        return self.trusted != [] if self.plans else self.used > 0

    def label(self, states: np.ndarray, scene: Scene, which: Sequence[int] | None = None) -> np.ndarray:
        """What plans together advise in ``states`` (n, obs_dim): (n, act_dim) inside +-``ADVICE_LIMIT``.

        ``which``: as of :meth:`labeller`, and there must be one.
        """
        labeller = self.labeller(scene, which)
        assert labeller is not None
        return labeller(states)

    def labeller(self, scene: Scene, which: Sequence[int] | None = None) -> Callable[[np.ndarray], np.ndarray] | None:
        """What labels states (n, obs_dim) by plans together; None where there is none, or it is gone by now.

        ``which``: numbers of the plans; by default those that are trusted.
        """
        # Read once each, as another thread may replace them.
        beside, chosen = self.beside, self.trusted if which is None else which
        voters = tuple(range(len(self.plans)) if chosen is None else chosen)
        if not voters or any(i < VOTE and i not in beside for i in voters):
            return None
        plans = [*(plan for _, _, plan in self.plans), *beside.values()]
        labellers = self._labellers
        if labellers[0] != plans or labellers[1] is not scene:
            labellers = self._labellers = plans, scene, {}
        if voters not in labellers[2]:
            chosen_plans = [beside[i] if i < VOTE else self.plans[i][2] for i in voters]
            labellers[2][voters] = _make_labeller(as_one(chosen_plans), scene)
        labeller = labellers[2][voters]
        return lambda states: labeller(states).clip(-ADVICE_LIMIT, ADVICE_LIMIT)

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
        words = {"advisors": self.advisors, "plans": plans, "trusted": self.trusted}
        words |= {
            "tallies": list(self.tallies.items()),
            "stages": list(self.stages.items()),
            "beside": [(number, plan.as_dict()) for number, plan in self.beside.items()],
            "passed": self.passed,
            "trusted_since": self.trusted_since,
            "asked": self.asked,
            "queries": self.queries,
        }
        observations = self.observations if isinstance(self.observations, dict) else {"": self.observations}
        return {
            "words": th.frombuffer(bytearray(json.dumps(words).encode()), dtype=th.uint8),
            "rng": self._rng.get_state(),
            "observations": tree_map(observations, to_tensor),
            **{name: to_tensor(getattr(self, name)) for name in _COLUMNS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`; sampling goes on where it was."""
        words = json.loads(state["words"].cpu().numpy().tobytes())
        for name in ("advisors", "trusted", "trusted_since", "asked", "queries"):
            setattr(self, name, words[name])
        self.tallies, self.stages = dict(words.get("tallies", ())), dict(words.get("stages", ()))
        self.beside = {number: Plan.from_dict(plan) for number, plan in words.get("beside", ())}
        self.passed = words.get("passed", 0)
        self.plans = [
            (step, who, (Trajectories if "waypoints" in plan else Plan).from_dict(plan))
            for step, who, plan in words["plans"]
        ]
        observations = tree_map(state["observations"], to_array)
        self.observations = observations.get("", observations)
        for name in _COLUMNS:
            setattr(self, name, to_array(state[name]))
        self._usable = np.flatnonzero(self.status == AdviceStatus.OK)
        self._rng.set_state(state["rng"].cpu())

    def __getstate__(self) -> dict[str, Any]:
        """As a Stable-Baselines3 model's zip file keeps it: torch's generator and compiled code are not pickled."""
        return {"act_dim": self.act_dim, "state": self.state_dict()}

    def __setstate__(self, pickled: dict[str, Any]) -> None:
        self.__init__(pickled["act_dim"])  # type: ignore[misc]
        self.load_state_dict(pickled["state"])


def _make_labeller(plans: list[Plan], scene: Scene) -> Callable[[np.ndarray], np.ndarray]:
    if Labeller is not None and all(type(plan) is Plan for plan in plans):  # one of another kind acts in its own way
        return Labeller(plans, scene)
    return lambda states: vote([plan.actions(states, scene) for plan in plans])
