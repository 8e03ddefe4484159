"""The advisor without ROS: a request of states and a deadline in, one answer per state out, whatever happens."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
from varl_common.advice_status import AdviceStatus
from varl_common.env_description import EnvDescription
from varl_common.frame import Frame
from varl_common.plan import Plan, as_one

from varl_vlm_advisor.answer.voting import vote
from varl_vlm_advisor.backends import Backend
from varl_vlm_advisor.service.asking import Asker
from varl_vlm_advisor.service.config import AdvisorConfig, make_backend
from varl_vlm_advisor.service.request_checks import pointing_problem, request_problem, state_problem
from varl_vlm_advisor.service.sampling import Sampler
from varl_vlm_advisor.service.statistics import Statistics
from varl_vlm_advisor.types import Advice, Answers, NoAdvice, Pointing, State, Verdict

log = logging.getLogger(__name__)

_GRACE = 0.1
"""Seconds that cancelled questions have to give way."""
_CLOSING = 2.0
"""Seconds to wait for the thread at the end."""
_SUSPICIOUS = 8
"""So many different states with word for word the same answer are flagged: the model may not be looking."""
_FLAG = "[the same answer for every state] "


class Advisor:
    """Answers requests in a thread of its own. ``config`` is of :func:`varl_vlm_advisor.service.config.config_model`.

    Raises:
        VarlError: the backend or the templates are not there, with the remedy.
    """

    def __init__(self, config: AdvisorConfig, backend: Backend | None = None) -> None:
        """``backend``: in place of the one that the configuration names."""
        self._config = config
        self._backend = make_backend(config) if backend is None else backend
        self.statistics = Statistics()
        self.asker = Asker(self._backend, config, self.statistics)
        self._sampler = Sampler(config, self._backend.sees, self._backend.label, self.asker)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="advisor", daemon=True)
        self._thread.start()

    @property
    def label(self) -> str:
        """Who answers."""
        return self._backend.label

    @property
    def sees(self) -> bool:
        """Whether it looks at words and pictures."""
        return self._backend.sees

    def ask(self, env: EnvDescription, states: list[State], deadline: float, votes: int = 0) -> Future[Answers]:
        """Begin to answer; the future is done ``deadline`` seconds from now, at the latest.

        ``votes``: samples of each question; 0: as configured.
        """
        until = self._loop.time() + deadline
        job = self._answers(env, states, until, votes or self._config.votes)
        return asyncio.run_coroutine_threadsafe(job, self._loop)

    def point(self, frames: list[Frame], things: list[str], deadline: float) -> Future[list[Pointing]]:
        """Begin to point at each of ``things`` (in words: "the red block") in each of ``frames``.

        The future is done ``deadline`` seconds from now, at the latest: the pointings of the first frame, in the order
        of ``things``, then those of the next.
        """
        job = self._pointings(frames, things, self._loop.time() + deadline)
        return asyncio.run_coroutine_threadsafe(job, self._loop)

    def judge(self, env: EnvDescription, state: State, deadline: float) -> Future[Verdict]:
        """Begin to say whether ``state`` shows the task of ``env`` accomplished.

        The future is done ``deadline`` seconds from now, at the latest.
        """
        return asyncio.run_coroutine_threadsafe(self._verdict(env, state, self._loop.time() + deadline), self._loop)

    def close(self) -> None:
        """Cancel what is being asked, and stop the thread."""
        done = asyncio.run_coroutine_threadsafe(self._shut(), self._loop)
        done.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._loop.stop))
        self._thread.join(_CLOSING)

    async def _shut(self) -> None:
        self._sampler.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE)
        await self._backend.close()

    async def _answers(self, env: EnvDescription, states: list[State], until: float, votes: int) -> Answers:
        self.statistics.requests += 1
        ids = Counter(state.id for state in states)
        problem = request_problem(env, states, until)
        found: dict[int, Advice] = {}
        sound: dict[int, State] = {}
        for index, state in enumerate(states):
            wrong = problem or state_problem(env, state, ids)
            if wrong:
                found[index] = _none(state, NoAdvice(AdviceStatus.INVALID, wrong))
            else:
                sound[index] = state
        plan = None
        if sound:
            asked = list(sound.values())
            if self._config.strategy == "plan":
                advice, plan = await self._by_plan(env, asked, until, votes)
            else:
                ask = self._sampler.advice if self._config.strategy != "trajectory" else self._sampler.trajectory
                jobs = [ask(env, state, until, votes) for state in asked]
                results = await self._by(until, jobs)
                advice = [_none(s, r) if isinstance(r, NoAdvice) else r for s, r in zip(asked, results, strict=True)]
                advice = self._flag_identical(asked, advice)
            found |= dict(zip(sound, advice, strict=True))
        answers = [found[index] for index in range(len(states))]
        self.statistics.states.update(answer.status.name for answer in answers)
        return Answers(answers, plan, self.label)

    async def _pointings(self, frames: list[Frame], things: list[str], until: float) -> list[Pointing]:
        self.statistics.requests += 1
        problem = pointing_problem(frames, things, until)
        if problem:
            return [Pointing(AdviceStatus.INVALID, None, problem)] * (len(frames) * len(things))
        jobs = [self._sampler.place(frame, thing, until) for frame in frames for thing in things]
        results = await self._by(until, jobs) if jobs else []
        pointings = [Pointing(r.status, None, str(r)) if isinstance(r, NoAdvice) else r for r in results]
        self.statistics.pointings.update(pointing.status.name for pointing in pointings)
        return pointings

    async def _verdict(self, env: EnvDescription, state: State, until: float) -> Verdict:
        self.statistics.requests += 1
        problem = request_problem(env, [state], until) or state_problem(env, state, Counter([state.id]))
        if problem:
            result: Any = NoAdvice(AdviceStatus.INVALID, problem)
        else:
            (result,) = await self._by(until, [self._sampler.verdict(env, state, until)])
        verdict = Verdict(result.status, False, result.reason) if isinstance(result, NoAdvice) else result
        self.statistics.verdicts[verdict.status.name] += 1
        return verdict

    async def _by_plan(
        self, env: EnvDescription, states: list[State], until: float, samples: int
    ) -> tuple[list[Advice], Plan | None]:
        """Ask once, about the first state that has a picture; the plans speak for all states: as one plan, or by a vote
        on each, and then the plan is the one that is nearest to the vote."""
        shown = next((state for state in states if state.frames), states[0])
        (plans,) = await self._by(until, [self._sampler.plans(env, shown, until, samples)])
        if isinstance(plans, NoAdvice):
            return [_none(state, plans) for state in states], None
        transitions = np.stack([state.state for state in states])
        actions = np.stack([plan.actions(transitions, env) for plan in plans])
        votes = [vote(list(actions[:, row])) for row in range(len(states))]
        said = np.stack([action for action, _ in votes])
        agreed = as_one(plans)
        if len(agreed) == 1:
            (plan,) = agreed
            said = plan.actions(transitions, env)
        else:
            plan = plans[int(np.abs(actions - said).sum(axis=(1, 2)).argmin())]
        advice = [
            Advice(state.id, AdviceStatus.OK, action, agreement * len(plans) / samples, plan.reason)
            for state, action, (_, agreement) in zip(states, said, votes, strict=True)
        ]
        return advice, plan

    async def _by(self, until: float, jobs: list[Coroutine[Any, Any, Any]]) -> list[Any]:
        """Each job's result or, where it has none by ``until``, a NoAdvice."""
        heard = self.statistics.heard
        tasks = [asyncio.ensure_future(job) for job in jobs]
        _, late = await asyncio.wait(tasks, timeout=max(0.0, until - self._loop.time()))
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_GRACE)
            if self.statistics.heard == heard:
                self.asker.breaker.silent()
        return [self._result(task) for task in tasks]

    def _result(self, task: asyncio.Task[Any]) -> Any:
        if not task.done() or task.cancelled():
            return NoAdvice(AdviceStatus.TIMEOUT, "no answer by the deadline")
        error = task.exception()
        if error is None:
            return task.result()
        if isinstance(error, NoAdvice):
            return error
        log.error("unexpected failure of the advisor", exc_info=error)
        return NoAdvice(AdviceStatus.INVALID, f"unexpected failure of the advisor: {type(error).__name__}")

    def _flag_identical(self, states: list[State], advice: list[Advice]) -> list[Advice]:
        given = [(s.state.tobytes(), a) for s, a in zip(states, advice, strict=True) if a.action is not None]
        different = len({state for state, _ in given})
        answers = {(a.action.tobytes(), a.reason) for _, a in given if a.action is not None}
        if different < _SUSPICIOUS or len(answers) > 1 or not self._backend.sees:
            return advice
        self.statistics.events["identical"] += len(given)
        return [replace(a, reason=_FLAG + a.reason) if a.action is not None else a for a in advice]


def _none(state: State, error: NoAdvice) -> Advice:
    return Advice(state.id, error.status, None, 0.0, error.reason)
