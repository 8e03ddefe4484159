"""Asks one question as often as there are votes, and turns the usable answers into actions or plans."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from varl_common.advice_status import AdviceStatus
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError
from varl_common.frame import Frame
from varl_common.plan import Plan
from varl_common.trajectories import Trajectories

from varl_vlm_advisor.answer.motion import to_action, to_plan, to_pointing, to_waypoints
from varl_vlm_advisor.answer.voting import vote
from varl_vlm_advisor.question.places import PlacePrompter
from varl_vlm_advisor.question.prompt import Prompter
from varl_vlm_advisor.question.question import StateQuestion
from varl_vlm_advisor.question.schema import Answer
from varl_vlm_advisor.question.verdicts import VerdictPrompter
from varl_vlm_advisor.service.asking import Asker
from varl_vlm_advisor.service.config import AdvisorConfig
from varl_vlm_advisor.types import Advice, NoAdvice, Pointing, State, Verdict


class Sampler:
    """Used within one event loop; pictures are made outside it, one after the other, so that they hold nothing up."""

    def __init__(self, config: AdvisorConfig, sees: bool, model: str, asker: Asker) -> None:
        """``sees``: whether the backend looks at words and pictures; ``model``: its name."""
        self._config = config
        self._prompter, self._places = Prompter(config, sees, model), PlacePrompter(config, model)
        self._verdicts = VerdictPrompter(config, sees, model)
        self._asker = asker
        self._picture_thread = ThreadPoolExecutor(1, thread_name_prefix="advisor-pictures")

    def close(self) -> None:
        """Make no further picture."""
        self._picture_thread.shutdown(wait=False, cancel_futures=True)

    async def advice(self, env: EnvDescription, state: State, until: float, votes: int) -> Advice:
        """The vote of so many samples on ``state``. One that could not be used agrees with none.

        Raises:
            NoAdvice: no sample can be used; the first one's reason.
        """

        def use(question: StateQuestion, answer: Answer) -> tuple[np.ndarray, str]:
            return to_action(question, answer, self._config.surface_height, self._config.behind), answer.reason

        usable = await self._samples(env, state, until, votes, use)
        action, agreement = vote([action for action, _ in usable])
        return Advice(state.id, AdviceStatus.OK, action, agreement * len(usable) / votes, usable[0][1])

    async def trajectory(self, env: EnvDescription, state: State, until: float, votes: int) -> Advice:
        """Where the tool is to be from ``state`` on; asked once, as neighbouring states' trajectories even out.

        Raises:
            NoAdvice: there is no usable answer.
        """

        def use(question: StateQuestion, answer: Answer) -> tuple[np.ndarray, str]:
            return to_waypoints(answer), answer.reason

        ((waypoints, reason),) = await self._samples(env, state, until, 1, use)
        trajectories = Trajectories(starts=state.state[None], waypoints=waypoints[None])
        try:
            trajectories.check(env)
        except VarlError as error:
            raise NoAdvice(AdviceStatus.REFUSED, str(error)) from None
        action = trajectories.actions(state.state[None], env)[0]
        return Advice(state.id, AdviceStatus.OK, action, 1.0, reason, waypoints)

    async def plans(self, env: EnvDescription, state: State, until: float, votes: int) -> list[Plan]:
        """The samples' plans for the scene of ``state``.

        Raises:
            NoAdvice: no sample can be used; the first one's reason.
        """

        def use(question: StateQuestion, answer: Answer) -> Plan:
            plan = to_plan(answer)
            try:
                plan.check(env)
            except VarlError as error:
                raise NoAdvice(AdviceStatus.INVALID, f"answer not usable: {error}") from None
            return plan

        return await self._samples(env, state, until, votes, use)

    async def place(self, frame: Frame, thing: str, until: float) -> Pointing:
        """Where ``frame`` shows ``thing``, in its own pixels; asked once, as many pictures average out what is off.

        Raises:
            NoAdvice: there is no usable answer.
        """
        loop = asyncio.get_running_loop()
        question = await loop.run_in_executor(self._picture_thread, self._places.question, frame, thing)
        return await self._asker.answer(question, 0, until, partial(to_pointing, question))

    async def verdict(self, env: EnvDescription, state: State, until: float) -> Verdict:
        """Whether ``state`` shows the task accomplished; asked once.

        Raises:
            NoAdvice: there is no usable answer.
        """
        loop = asyncio.get_running_loop()
        question = await loop.run_in_executor(self._picture_thread, self._verdicts.question, env, state)

        def use(answer: Any) -> Verdict:
            return Verdict(AdviceStatus.OK, answer.accomplished, answer.reason)

        return await self._asker.answer(question, 0, until, use)

    async def _samples(self, env: EnvDescription, state: State, until: float, votes: int, use: Any) -> list[Any]:
        loop = asyncio.get_running_loop()
        question = await loop.run_in_executor(self._picture_thread, self._prompter.question, env, state)

        samples = (self._asker.answer(question, number, until, partial(use, question)) for number in range(votes))
        results = await asyncio.gather(*samples, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, NoAdvice):
                raise result
        usable = [result for result in results if not isinstance(result, NoAdvice)]
        if not usable:
            raise results[0]
        return usable
