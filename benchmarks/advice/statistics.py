"""Aggregates over tasks and seeds the way of Agarwal et al. 2021, "... the edge of the statistical precipice"."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.stats import bootstrap, trim_mean

Scores = Mapping[str, np.ndarray]  # task: (seeds,) scores
RESAMPLES = 5_000


def iqm(scores: np.ndarray) -> float:
    """Interquartile mean: the mean of the middle half of the scores."""
    return float(trim_mean(np.ravel(scores), 0.25))


def mean_of_tasks(scores: np.ndarray) -> float:
    """Mean over everything."""
    return float(np.mean(scores))


def interval(scores: Scores, statistic: Callable[[np.ndarray], float], seed: int = 0) -> tuple[float, float]:
    """95 % interval of ``statistic`` over all tasks, by a bootstrap stratified by task (seeds are resampled)."""
    return _interval(list(scores.values()), lambda *tasks: statistic(np.concatenate(tasks)), seed)


def gap_interval(scores: Scores, rival: Scores, seed: int = 0) -> tuple[float, float, float]:
    """Mean over the shared tasks of (scores - rival), and its 95 % interval by the same bootstrap."""
    shared = [task for task in scores if task in rival]

    def gap(*samples: np.ndarray) -> float:
        ours, theirs = samples[: len(shared)], samples[len(shared) :]
        return float(np.mean([a.mean() - b.mean() for a, b in zip(ours, theirs, strict=True)]))

    samples = [side[task] for side in (scores, rival) for task in shared]
    return gap(*samples), *_interval(samples, gap, seed)


def probability_of_improvement(scores: Scores, rival: Scores) -> float:
    """P(a run of one beats a run of the other on a task drawn at random), ties counting half."""
    shared = [task for task in scores if task in rival]
    wins = []
    for task in shared:
        ours, theirs = scores[task][:, None], rival[task][None, :]
        wins.append(np.mean((ours > theirs) + 0.5 * (ours == theirs)))
    return float(np.mean(wins))


def _interval(samples: list[np.ndarray], statistic: Callable[..., float], seed: int) -> tuple[float, float]:
    """Each sample is resampled by itself. One of a single score stays as it is."""
    if all(len(np.unique(sample)) == 1 for sample in samples):
        return statistic(*samples), statistic(*samples)
    spread = [sample if len(sample) > 1 else np.repeat(sample, 2) for sample in samples]  # scipy wants two
    result = bootstrap(
        spread,
        statistic,
        n_resamples=RESAMPLES,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
