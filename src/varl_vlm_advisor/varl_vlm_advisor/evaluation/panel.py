"""Who is judged: the advisor, the same model without the picture, and those that any advisor must beat."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from varl_vlm_advisor.evaluation.metrics import agreement
from varl_vlm_advisor.evaluation.situations import Situation
from varl_vlm_advisor.question.drawing import mirror
from varl_vlm_advisor.question.encoding import decode, encode, words_of
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.service.config import AdvisorConfig
from varl_vlm_advisor.types import Advice, EnvDescription, State, Status

Actions = NDArray[np.float32]


@dataclass(frozen=True)
class Opinion:
    """One judge's actions, shape (n, act_dim), NaN where it gave none."""

    name: str
    actions: Actions
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    consistency: float = float("nan")
    """Agreement of two samples of the same question."""
    mirrored: float = float("nan")
    """Agreement of signs with the answer to the same scene seen in a mirror."""


def baselines(env: EnvDescription, situations: list[Situation], error_rate: float, seed: int) -> list[Opinion]:
    """Random, none, the mean of the expert's, the expert in the words of an answer, and that with wrong axes."""
    rng = np.random.default_rng(seed)
    experts = np.stack([situation.expert for situation in situations])
    spoken = np.stack([decode(encode(action, env.action_names), env.action_names) for action in experts])
    wrong = spoken.copy()
    for index, name in enumerate(env.action_names):
        values = np.array(list(words_of(name).values()), np.float32)
        for row in np.flatnonzero(rng.random(len(wrong)) < error_rate):
            wrong[row, index] = rng.choice(values[np.sign(values) != np.sign(spoken[row, index])])
    return [
        Opinion("random", rng.uniform(-1, 1, experts.shape).astype(np.float32)),
        Opinion("zero", np.zeros_like(experts)),
        Opinion("mean action", np.tile(experts.mean(axis=0), (len(experts), 1))),
        Opinion("expert, in words", spoken),
        Opinion(f"expert, {error_rate:.0%} wrong axes (stand-in for a VLM)", wrong),
    ]


def consult(config: AdvisorConfig, env: EnvDescription, situations: list[Situation], deadline: float) -> list[Opinion]:
    """The configured advisor's opinion, and the same without the picture.

    Each state is asked about as configured, mirrored and without the picture, and twice to compare.
    """
    states = [situation.moment for situation in situations]
    flipped = [replace(state, frames=tuple(mirror(frame) for frame in state.frames)) for state in states]
    blind = [replace(state, frames=()) for state in states]
    advisor = Advisor(config)
    try:
        told = _ask(advisor, env, states, deadline)
        in_mirror = _actions(env, _ask(advisor, env, flipped, deadline))
        unseeing = _ask(advisor, env, blind, deadline)
        twice = _ask(advisor, env, states, deadline, votes=2)
    finally:
        advisor.close()
    sure = [advice.confidence for advice in twice if advice.status == Status.OK]
    actions = _actions(env, told)
    consistency = float(np.mean(sure)) if sure else float("nan")
    mirrored = agreement(env, in_mirror, actions)
    return [
        Opinion(advisor.label, actions, _count(told), [advice.reason for advice in told], consistency, mirrored),
        Opinion(f"{advisor.label}, without the picture", _actions(env, unseeing), _count(unseeing)),
    ]


def _ask(advisor: Advisor, env: EnvDescription, states: list[State], deadline: float, votes: int = 0) -> list[Advice]:
    return advisor.ask(env, states, deadline, votes).result().advice


def _actions(env: EnvDescription, advice: list[Advice]) -> Actions:
    none = np.full(len(env.action_names), np.nan, np.float32)
    return np.stack([none if item.action is None else item.action for item in advice])


def _count(advice: list[Advice]) -> Counter[str]:
    return Counter(item.status.name for item in advice)
