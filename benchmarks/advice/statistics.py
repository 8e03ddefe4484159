"""Aggregates over tasks and seeds the way of Agarwal et al. 2021, "... the edge of the statistical precipice"."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Scores = Mapping[str, np.ndarray]  # task: (seeds,) scores
RESAMPLES = 5_000


def iqm(scores: np.ndarray) -> float:
    """Interquartile mean: the mean of the middle half of the scores, fractional at its ends."""
    ordered = np.sort(np.ravel(scores))
    quarter = len(ordered) / 4
    weights = np.clip(np.arange(1, len(ordered) + 1) - quarter, 0, 1)
    weights = np.minimum(weights, weights[::-1])
    return float(np.average(ordered, weights=weights))


def mean_of_tasks(scores: np.ndarray) -> float:
    """Mean over everything."""
    return float(np.mean(scores))


def interval(scores: Scores, statistic: Callable[[np.ndarray], float], seed: int = 0) -> tuple[float, float]:
    """95 % interval of ``statistic`` over all tasks, by a bootstrap stratified by task (seeds are resampled)."""
    rng = np.random.default_rng(seed)
    values = [statistic(np.concatenate(_resample(scores, rng))) for _ in range(RESAMPLES)]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def gap_interval(scores: Scores, rival: Scores, seed: int = 0) -> tuple[float, float, float]:
    """Mean over the shared tasks of (scores - rival), and its 95 % interval by the same bootstrap."""
    shared = [task for task in scores if task in rival]
    ours, theirs = ({task: side[task] for task in shared} for side in (scores, rival))
    gap = float(np.mean([ours[t].mean() - theirs[t].mean() for t in shared]))
    rng = np.random.default_rng(seed)
    values = [
        np.mean([a.mean() - b.mean() for a, b in zip(_resample(ours, rng), _resample(theirs, rng), strict=True)])
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(values, [2.5, 97.5])
    return gap, float(low), float(high)


def probability_of_improvement(scores: Scores, rival: Scores) -> float:
    """P(a run of one beats a run of the other on a task drawn at random), ties counting half."""
    shared = [task for task in scores if task in rival]
    wins = []
    for task in shared:
        ours, theirs = scores[task][:, None], rival[task][None, :]
        wins.append(np.mean((ours > theirs) + 0.5 * (ours == theirs)))
    return float(np.mean(wins))


def _resample(scores: Scores, rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.choice(values, len(values)) for values in scores.values()]
