"""One reply to one question: from the cache, or from the model: in budget, in turn, and again where that can help."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential,
    wait_random,
)
from varl_common.advice_status import AdviceStatus

from varl_vlm_advisor.answer.parsing import parse
from varl_vlm_advisor.backends import AskAgain, Backend, Reply
from varl_vlm_advisor.backends.recordings import Recordings
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.question.schema import Answer
from varl_vlm_advisor.service.breaker import Breaker
from varl_vlm_advisor.service.budget import Budget
from varl_vlm_advisor.service.config import AdvisorConfig
from varl_vlm_advisor.service.statistics import Statistics
from varl_vlm_advisor.types import NoAdvice

Used = TypeVar("Used")

_REJECTED_SHOWN = 2000
"""Characters of a rejected answer that the model is shown again."""


class Asker:
    """Asks one backend. Used within one event loop."""

    def __init__(self, backend: Backend, config: AdvisorConfig, statistics: Statistics) -> None:
        self._backend = backend
        self._config = config
        self._statistics = statistics
        self._slots = asyncio.Semaphore(config.in_flight)
        ledger = Path(config.run_dir).expanduser() / "advisor_spending.json" if config.run_dir else None
        self.budget = Budget(config.budget, ledger)
        self.breaker = Breaker(config.breaker)
        self._cache = Recordings(cache_folder(config, backend)) if backend.identity else None
        self._mode = config.cache.mode if self._cache is not None else "off"

    async def answer(self, question: Question, sample: int, until: float, use: Callable[[Answer], Used]) -> Used:
        """What ``use`` makes of the validated answer, after at most one request to repair it.

        ``use`` may raise NoAdvice as well, and an answer that it finds INVALID is repaired too. ``until`` is on the
        loop's clock. What has been validated is recorded.

        Raises:
            NoAdvice: there is no answer, it cannot be used, or the model cannot tell.
        """
        asked, repaired = question, False
        while True:
            reply, recorded = await self._persist(asked, sample, until)
            try:
                answer = parse(asked, reply)
                used = use(answer) if answer.can_tell else None
            except NoAdvice as error:
                if error.status != AdviceStatus.INVALID or repaired:
                    raise
                asked, repaired = question.again(reply.text[:_REJECTED_SHOWN], error.reason), True
                self._statistics.events["repairs"] += 1
                continue
            if not recorded and self._cache is not None and self._mode in ("record", "auto"):
                self._cache.put(question.key(sample), self._response_format, answer.model_dump())
            if used is None:
                raise NoAdvice(AdviceStatus.REFUSED, f"the model cannot tell: {answer.reason}")
            return used

    @property
    def _response_format(self) -> str:
        return getattr(self._backend, "response_format", "")

    async def _persist(self, question: Question, sample: int, until: float) -> tuple[Reply, bool]:
        """The reply, and whether it is a recorded one; the model is called again after failures that may pass."""
        retry = self._config.retry
        backoff = wait_exponential(multiplier=retry.backoff) + wait_random(0, retry.backoff)
        left = until - asyncio.get_running_loop().time()
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, NoAdvice) and error.retry),
            wait=lambda state: max(backoff(state), _failure(state).retry_after),
            stop=stop_after_attempt(retry.attempts) | stop_before_delay(left),
            before_sleep=lambda state: self._statistics.events.update(["retries"]),
            reraise=True,
        )
        try:
            return await retrying(self._look_up_or_call, question, sample)
        except NoAdvice as error:
            self._statistics.last_problem = error.reason
            raise

    async def _look_up_or_call(self, question: Question, sample: int) -> tuple[Reply, bool]:
        while True:
            if self._cache is not None and self._mode in ("replay", "auto"):
                # Where nobody is asked, it is not known what the server would have taken: any recording will do.
                exact = self._response_format if self._mode == "auto" else None
                found = self._cache.get(question.key(sample), exact)
                if found is not None:
                    self._statistics.events.update(["replies", "cached"])
                    return found, True
                if self._mode == "replay":
                    raise NoAdvice(
                        AdviceStatus.UNAVAILABLE, "no answer to this question is in the cache (cache: replay)"
                    )
            try:
                return await self._call(question, sample), False
            except AskAgain:
                self._statistics.events["adapted"] += 1

    async def _call(self, question: Question, sample: int) -> Reply:
        """One request: counted in the budget whatever comes of it."""
        async with self._slots:
            self.budget.check()
            entry = self.breaker.enter()
            self.budget.count_call()
            self._statistics.events["calls"] += 1
            start = time.monotonic()
            try:
                reply = await self._backend.reply(question, sample)
            except NoAdvice as error:
                if error.answered:
                    self.budget.record_given_up(question)
                if error.status in (AdviceStatus.REFUSED, AdviceStatus.INVALID):
                    self.breaker.succeeded(entry)  # the server is there
                else:
                    self.breaker.failed(entry, error)
                raise
            except asyncio.CancelledError:
                self.budget.record_given_up(question)
                self.breaker.abandoned(entry)
                raise
            except BaseException:
                self.breaker.abandoned(entry)
                raise
        self.breaker.succeeded(entry)
        self._statistics.events["replies"] += 1
        self.budget.record(reply)
        self._statistics.latencies.append(time.monotonic() - start)
        self._statistics.tokens_in += reply.tokens_in
        self._statistics.tokens_out += reply.tokens_out
        return reply


def _failure(state: RetryCallState) -> NoAdvice:
    assert state.outcome is not None
    error = state.outcome.exception()
    assert isinstance(error, NoAdvice)
    return error


def cache_folder(config: AdvisorConfig, backend: Backend) -> Path:
    """Where the answers of one model, sampled in one way, are kept."""
    name = re.sub(r"[^A-Za-z0-9.]+", "-", backend.label).strip("-")
    return (
        Path(config.cache.folder).expanduser() / f"{name}-{hashlib.sha256(backend.identity.encode()).hexdigest()[:8]}"
    )
