"""One reply to one question: from the cache, or from the model: in budget, in turn, and again where that can help."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from pathlib import Path

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
from varl_vlm_advisor.backends import Backend, Reply
from varl_vlm_advisor.backends.recordings import Recordings
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.question.schema import Answer
from varl_vlm_advisor.service.breaker import Breaker
from varl_vlm_advisor.service.budget import Budget
from varl_vlm_advisor.service.config import AdvisorConfig
from varl_vlm_advisor.service.statistics import Statistics
from varl_vlm_advisor.types import NoAdvice

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

    async def answer(self, question: Question, sample: int, until: float) -> Answer:
        """The validated answer, after at most one request to repair it; ``until`` is on the loop's clock.

        Raises:
            NoAdvice: there is none.
        """
        reply = await self._reply(question, sample, until)
        try:
            return parse(question, reply)
        except NoAdvice as error:
            if not error.retry:
                raise
            again = question.again(reply.text[:_REJECTED_SHOWN], error.reason)
        self._statistics.events["repairs"] += 1
        return parse(again, await self._reply(again, sample, until))

    async def _reply(self, question: Question, sample: int, until: float) -> Reply:
        mode = self._config.cache.mode if self._cache is not None else "off"
        key = question.key(sample) if mode != "off" else ""
        if self._cache is not None and mode in ("replay", "auto"):
            cached = self._cache.get(key)
            if cached is not None:
                self._statistics.events["replies"] += 1
                self._statistics.events["cached"] += 1
                return cached
            if mode == "replay":
                raise NoAdvice(AdviceStatus.UNAVAILABLE, "no answer to this question is in the cache (cache: replay)")
        reply = await self._persist(question, sample, until)
        if self._cache is not None and mode in ("record", "auto"):
            self._cache.put(key, reply)
        return reply

    async def _persist(self, question: Question, sample: int, until: float) -> Reply:
        """Call the model, again after failures that may pass, while the time lasts."""
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
            return await retrying(self._call, question, sample)
        except NoAdvice as error:
            self._statistics.last_problem = error.reason
            raise

    async def _call(self, question: Question, sample: int) -> Reply:
        async with self._slots:
            self.breaker.enter()
            try:
                self.budget.reserve()
                self._statistics.events["calls"] += 1
                start = time.monotonic()
                reply = await self._backend.reply(question, sample)
            except NoAdvice as error:
                if error.status == AdviceStatus.UNAVAILABLE:
                    self.breaker.failed()
                else:
                    self.breaker.abandoned()
                raise
            except BaseException:
                self.breaker.abandoned()
                raise
        self.breaker.succeeded()
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
