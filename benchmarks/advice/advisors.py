"""Scripted stand-ins for a vision-language model, with stated errors, for every task of the bench.

Labels: the expert's motion as one word an axis, {-, 0, +}; each word is replaced by one of the other two at rate p.
``frozen`` errors depend on the state alone (asking again brings the same mistake), ``fresh`` ones on the question too.

Plans: the expert's phases, every named thing misplaced by a Gaussian of ``misplaced`` metres an axis, drawn anew for
each question, and at rate p an error of structure: a phase missing, or two in the wrong order, in one stage of several,
whose sub-goal stays; of a maze's route, a waypoint joined to none, or to another through a wall. An advisor that is
always wrong sees everything ``ASIDE`` metres to one side and ``ABOVE`` metres above where it is besides, the same in
all of its plans (to the side alone some solve their task by chance, as a door is shut from any height), and steers
away from where a maze's route leads.
"""

from __future__ import annotations

import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
from varl_agent.advice.messages import AdviceAnswer, AdviceQuery, finished
from varl_common.plan import Phase, Plan
from varl_common.task_plans import PLANS

from benchmarks.advice.environments import ARM_TASKS, MAZES
from benchmarks.advice.route import Contrary, Route
from benchmarks.advice.stages import LONG

DEAD_ZONE = 0.3  # of an axis's full speed: less than that is the word "0"
ASIDE = 0.15  # m: several times a phase's tolerance, and all of a plan's misplacement
ABOVE = 0.25  # m: over all that a task moves
CELL = 10.0  # a maze's cell, 1 m, is to its waypoints' errors what 10 cm are to a thing's on the table
Expert = Callable[[np.ndarray], np.ndarray]  # (n, obs_dim) states to (n, act_dim) actions in [-1, 1]


def plan_of(task: str, env: gym.Env[Any, Any]) -> Plan:
    """A plan that solves the task."""
    if task in MAZES:
        return Route.through(env.unwrapped.maze)  # type: ignore[attr-defined]
    if task in ARM_TASKS:
        return LONG.get(task) or PLANS[task]
    from benchmarks.advice.expert_plans import expert_plan

    return expert_plan(task)


def expert_of(task: str, env: gym.Env[Any, Any]) -> Expert:
    """Who knows the task."""
    if task in MAZES or task in ARM_TASKS:
        plan, scene = plan_of(task, env), env.get_wrapper_attr("description")
        return lambda states: plan.actions(states, scene)
    from benchmarks.advice.expert_plans import expert

    policy = expert(task)

    def act(states: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.clip([policy.get_action(s.astype(np.float64)) for s in states], -1.0, 1.0)

    return act


class Scripted:
    """Base of the stand-ins: counts the time it takes; its errors follow from ``seed``."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.seconds = 0.0

    def ask(self, query: AdviceQuery) -> Future[AdviceAnswer]:
        """A finished answer."""
        with self._timed():
            return finished(self.answer(query))

    def answer(self, query: AdviceQuery) -> AdviceAnswer:
        raise NotImplementedError

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - began


class Labels(Scripted):
    """A direction word per axis for each state."""

    def __init__(self, expert: Expert, error_rate: float, seed: int, fresh: bool = False) -> None:
        super().__init__(seed)
        self.expert, self.error_rate, self.fresh = expert, error_rate, fresh

    def answer(self, query: AdviceQuery) -> AdviceAnswer:
        return AdviceAnswer.of(self.words(query.states, query.step), "scripted labels (stand-in for a VLM)")

    def acted(self, state: np.ndarray, step: int) -> np.ndarray:
        """(act_dim,) what it does in one state."""
        with self._timed():
            return self.words(state[None], step)[0]

    def words(self, states: np.ndarray, step: int) -> np.ndarray:
        """(n, act_dim) of -1, 0, 1, some of them wrong."""
        actions = np.asarray(self.expert(states), np.float32)
        words = np.sign(actions) * (np.abs(actions) > DEAD_ZONE)
        for row, state in zip(words, states, strict=True):
            rng = np.random.default_rng((self.seed, zlib.crc32(state.tobytes()), step if self.fresh else 0))
            wrong = rng.random(len(row)) < self.error_rate
            row[wrong] = (row[wrong] + 1 + rng.integers(1, 3, wrong.sum())) % 3 - 1
        return words


class Plans(Scripted):
    """A plan for the task, misplaced and at times misordered."""

    def __init__(
        self, plan: Plan, scene: Any, error_rate: float, seed: int, misplaced: float = 0.02, wrong: bool = False
    ) -> None:
        super().__init__(seed)
        self.plan, self.scene, self.error_rate, self.misplaced = plan, scene, error_rate, misplaced
        angle = np.random.default_rng((seed, 31)).uniform(0.0, 2 * np.pi)
        self.wrong = wrong
        self.astray = wrong * np.array([ASIDE * np.cos(angle), ASIDE * np.sin(angle), ABOVE])

    def answer(self, query: AdviceQuery) -> AdviceAnswer:
        rng = np.random.default_rng((self.seed, query.step))
        plan = self._route(self.plan, rng) if isinstance(self.plan, Route) else self._phases(self.plan, rng)
        return AdviceAnswer.of(plan.actions(query.states, self.scene), "scripted plan (stand-in for a VLM)", plan)

    def _phases(self, plan: Plan, rng: np.random.Generator) -> Plan:
        shift = {name: self.astray + rng.normal(0.0, self.misplaced, 3) for name in self.scene.entities}
        seen = [[self._shifted(phase, shift[phase.target]) for phase in stage] for stage in plan.stages]
        if rng.random() < self.error_rate:
            wrong = int(rng.integers(len(seen)))
            seen[wrong] = _in_error(seen[wrong], rng)
        return Plan(tuple(phase for stage in seen for phase in stage), "scripted")

    def _route(self, route: Route, rng: np.random.Generator) -> Route:
        """In a maze's scale."""
        shift = CELL * rng.normal(0.0, self.misplaced, route.waypoints.shape)
        joined = route.joined.copy()
        if rng.random() < self.error_rate:
            at = int(rng.integers(len(joined)))
            if rng.random() < 0.5:
                joined[at] = joined[:, at] = False
            else:
                lengths = np.linalg.norm(route.waypoints - route.waypoints[at], axis=1)
                lengths[joined[at]] = lengths[at] = np.inf
                other = int(lengths.argmin())
                joined[at, other] = joined[other, at] = True
        kind = Contrary if self.wrong else Route
        return kind(reason="scripted", waypoints=route.waypoints + shift, joined=joined)

    @staticmethod
    def _shifted(phase: Phase, shift: np.ndarray) -> Phase:
        x, y, z = (float(a + b) for a, b in zip(phase.offset, shift, strict=True))
        return replace(phase, offset=(x, y, z))


def _in_error(stage: list[Phase], rng: np.random.Generator) -> list[Phase]:
    """The phases with one missing, or two in the wrong order; whichever is the last now has the stage's sub-goal."""
    if len(stage) < 2:
        return stage
    end, at = stage[-1], int(rng.integers(len(stage) - 1))
    if rng.random() < 0.5:
        phases = [*stage[:at], *stage[at + 1 :]]
    else:
        phases = [*stage[:at], stage[at + 1], stage[at], *stage[at + 2 :]]
    *before, last = (replace(phase, brings="", to="", within=0.0) for phase in phases)
    return [*before, replace(last, brings=end.brings, to=end.to, within=end.within)]


class Random(Scripted):
    """Advice that knows nothing: a random word per axis."""

    def __init__(self, act_dim: int, seed: int) -> None:
        super().__init__(seed)
        self.act_dim = act_dim

    def answer(self, query: AdviceQuery) -> AdviceAnswer:
        rng = np.random.default_rng((self.seed, query.step))
        words = rng.integers(-1, 2, (len(query), self.act_dim)).astype(np.float32)
        return AdviceAnswer.of(words, "random words")
