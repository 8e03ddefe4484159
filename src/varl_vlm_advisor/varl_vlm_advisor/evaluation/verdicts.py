"""How often an advisor is wrong about whether a task was accomplished: false successes, and successes missed."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from varl_common.advice_status import AdviceStatus
from varl_common.errors import VarlError
from varl_common.host.progress import progress

from varl_vlm_advisor.evaluation.labelled_states import collect
from varl_vlm_advisor.evaluation.predictions import awaited
from varl_vlm_advisor.evaluation.worlds import World
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.service.config import AdvisorConfig
from varl_vlm_advisor.types import State

_TRIES = 5
"""Episodes of the expert for each success that is wanted: it solves nearly all."""


@dataclass(frozen=True)
class VerdictScore:
    """How ``who`` judged moments of ``task``: counts."""

    task: str
    who: str
    unsolved: int
    false: int
    """Of the unsolved, called accomplished."""
    solved: int
    missed: int
    """Of the solved, not called so, for whatever reason."""
    untold: int
    """Of all, without a verdict."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Why they are without, in the words of the statuses."""


def judge(world: World, config: AdvisorConfig, count: int, seed: int, deadline: float) -> VerdictScore:
    """Ask the advisor about ``count`` moments in which the task is not solved and as many in which it has just been.

    Raises:
        VarlError: the expert does not solve the task, or there is no advisor.
    """
    unsolved = [example.transition for example in collect(world, count, seed)]
    solved = list(progress(itertools.islice(_solved(world, count, seed), count), "successes", count))
    if len(solved) < count:
        raise VarlError(f"{world.env.task}: its expert solved {len(solved)} of {_TRIES * count}; nothing to judge by")
    advisor = Advisor(config)
    try:
        verdicts = [advisor.judge(world.env, state, deadline) for state in (*unsolved, *solved)]
        what = f"{world.env.task}: {advisor.label} is asked about {len(verdicts)} moments"
        print(what, flush=True)
        told = [awaited(verdict, what) for verdict in verdicts]
        label = advisor.label
    finally:
        advisor.close()
    of_unsolved, of_solved = told[:count], told[count:]
    return VerdictScore(
        world.env.task,
        label,
        count,
        sum(verdict.accomplished for verdict in of_unsolved),
        count,
        sum(not verdict.accomplished for verdict in of_solved),
        sum(verdict.status != AdviceStatus.OK for verdict in told),
        dict(Counter(verdict.reason for verdict in told if verdict.status != AdviceStatus.OK)),
    )


def table(scores: Sequence[VerdictScore]) -> str:
    """Plain text, in columns."""
    lines: list[tuple[str, ...]] = [("task", "who", "false successes", "missed successes", "no verdict")]
    for one in scores:
        asked = one.unsolved + one.solved
        shares = ((one.false, one.unsolved), (one.missed, one.solved), (one.untold, asked))
        lines.append((one.task, one.who, *(f"{n} of {of} ({n / of:.0%})" for n, of in shares)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def figures(scores: Sequence[VerdictScore]) -> list[dict[str, Any]]:
    """Plain data, fit for JSON."""
    return [asdict(score) for score in scores]


def _solved(world: World, count: int, seed: int) -> Iterator[State]:
    """Moments in which the expert has just solved the task."""
    still = np.zeros(len(world.env.action_names), np.float32)
    for number, first in enumerate(range(1000 * seed, 1000 * seed + _TRIES * count)):
        state = world.reset(first)
        for _ in range(world.env.max_episode_steps):
            state, reward, solved = world.step(world.expert(state))
            if solved:
                yield State(number, state, still, state, reward, (world.frame(),))
                break
