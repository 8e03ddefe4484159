"""What is judged: the advisor's actions, those of the same model without the picture, and baselines to beat."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from varl_common.advice_status import AdviceStatus
from varl_common.env_description import EnvDescription

from varl_vlm_advisor.evaluation.labelled_states import LabelledState
from varl_vlm_advisor.evaluation.metrics import agreement
from varl_vlm_advisor.question.action_words import decode, encode, words_of
from varl_vlm_advisor.question.drawing import mirror
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.service.config import AdvisorConfig
from varl_vlm_advisor.types import Advice, State

Actions = NDArray[np.float32]
T = TypeVar("T")

_SAID_EVERY = 10.0
"""Seconds between two lines while answers are waited for."""


@dataclass(frozen=True)
class Predictions:
    """The actions of an advisor or a baseline, shape (n, act_dim), NaN where it gave none."""

    name: str
    actions: Actions
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    unanswered: Counter[str] = field(default_factory=Counter)
    """Why there are no actions, in the words of the statuses, and of how many states."""
    consistency: float = float("nan")
    """Agreement of two samples of the same question."""
    mirrored: float = float("nan")
    """Agreement of signs with the answer to the same scene seen in a mirror."""


def baselines(env: EnvDescription, examples: list[LabelledState], error_rate: float, seed: int) -> list[Predictions]:
    """Random, none, the mean of the expert's, the expert in the words of an answer, and that with wrong axes."""
    rng = np.random.default_rng(seed)
    experts = np.stack([example.expert for example in examples])
    spoken = np.stack([decode(encode(action, env.action_names), env.action_names) for action in experts])
    wrong = spoken.copy()
    for index, name in enumerate(env.action_names):
        values = np.array(list(words_of(name).values()), np.float32)
        for row in np.flatnonzero(rng.random(len(wrong)) < error_rate):
            wrong[row, index] = rng.choice(values[np.sign(values) != np.sign(spoken[row, index])])
    return [
        Predictions("random", rng.uniform(-1, 1, experts.shape).astype(np.float32)),
        Predictions("zero", np.zeros_like(experts)),
        Predictions("mean action", np.tile(experts.mean(axis=0), (len(experts), 1))),
        Predictions("expert, in words", spoken),
        Predictions(f"expert, {error_rate:.0%} wrong axes (stand-in for a VLM)", wrong),
    ]


def ask_advisor(
    config: AdvisorConfig, env: EnvDescription, examples: list[LabelledState], deadline: float
) -> list[Predictions]:
    """The configured advisor's predictions, and the same without the picture.

    Each state is asked about as configured, mirrored and without the picture, and twice to compare. A line tells of
    each round of questions.
    """
    states = [example.transition for example in examples]
    flipped = [replace(state, frames=tuple(mirror(frame) for frame in state.frames)) for state in states]
    blind = [replace(state, frames=()) for state in states]
    advisor = Advisor(config)
    try:
        told = _ask(advisor, env, states, deadline, "as configured")
        in_mirror = _actions(env, _ask(advisor, env, flipped, deadline, "in a mirror"))
        unseeing = _ask(advisor, env, blind, deadline, "without the picture")
        twice = _ask(advisor, env, states, deadline, "twice, to compare", votes=2)
    finally:
        advisor.close()
    sure = [advice.confidence for advice in twice if advice.status == AdviceStatus.OK]
    actions = _actions(env, told)
    consistency = float(np.mean(sure)) if sure else float("nan")
    mirrored = agreement(env, in_mirror, actions)
    why = _unanswered(told)
    why_unseeing = {
        reason if reason in why else f"without the picture: {reason}": n for reason, n in _unanswered(unseeing).items()
    }
    return [
        Predictions(
            advisor.label,
            actions,
            _count(told),
            [advice.reason for advice in told],
            why,
            consistency,
            mirrored,
        ),
        Predictions(
            f"{advisor.label}, without the picture",
            _actions(env, unseeing),
            _count(unseeing),
            unanswered=Counter(why_unseeing),
        ),
    ]


def awaited(pending: Future[T], what: str) -> T:
    """What ``pending`` comes to; a line every few seconds says that ``what`` is still waited for."""
    begun = time.monotonic()
    while True:
        try:
            return pending.result(_SAID_EVERY)
        except NotYet:
            print(f"{what}: {time.monotonic() - begun:.0f} s", flush=True)


def _ask(
    advisor: Advisor, env: EnvDescription, states: list[State], deadline: float, how: str, votes: int = 0
) -> list[Advice]:
    what = f"{env.task}: {advisor.label} is asked {how}"
    print(what, flush=True)
    return awaited(advisor.ask(env, states, deadline, votes), what).advice


def _actions(env: EnvDescription, advice: list[Advice]) -> Actions:
    none = np.full(len(env.action_names), np.nan, np.float32)
    return np.stack([none if item.action is None else item.action for item in advice])


def _unanswered(advice: list[Advice]) -> Counter[str]:
    return Counter(item.reason for item in advice if item.status != AdviceStatus.OK)


def _count(advice: list[Advice]) -> Counter[str]:
    return Counter(item.status.name for item in advice)
