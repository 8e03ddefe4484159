"""Aggregates over tasks and seeds the way of Agarwal et al. 2021, "... the edge of the statistical precipice"."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.stats import bootstrap, trim_mean

Scores = Mapping[str, np.ndarray]  # task: (seeds,) scores
RESAMPLES = 2_000
SPREAD = 3  # seeds; fewer tell nothing of a spread


def iqm(scores: np.ndarray) -> float:
    """Interquartile mean: the mean of the middle half of the scores."""
    return float(trim_mean(np.ravel(scores), 0.25))


def mean_of_tasks(scores: np.ndarray) -> float:
    """Mean over everything."""
    return float(np.mean(scores))


def interval(
    scores: Scores,
    statistic: Callable[[np.ndarray], float],
    seed: int = 0,
    tasks_too: bool = False,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """95 % interval of ``statistic`` over all tasks, by a bootstrap that draws each task's seeds anew.

    ``tasks_too``: and the tasks before them, so that the interval is for tasks like these, and not for these alone.
    """
    samples = list(scores.values())
    if not tasks_too:
        return _interval(samples, lambda *tasks: statistic(np.concatenate(tasks)), seed, resamples)
    rng = np.random.default_rng(seed)
    drawn = [
        statistic(np.concatenate([rng.choice(samples[i], len(samples[i])) for i in rng.integers(len(samples), size=n)]))
        for n in [len(samples)] * resamples
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def fall(rates: Mapping[str, np.ndarray]) -> float:
    """How far success was ever below what it had been: of the mean over tasks of each one's interquartile mean.

    ``rates``: for each task (seeds, steps).
    """
    return float(_deepest(np.mean([_middle(runs) for runs in rates.values()], axis=0))) if rates else 0.0


def fall_interval(rates: Mapping[str, np.ndarray], seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float]:
    """95 % interval of :func:`fall`, by a bootstrap that draws each task's seeds anew.

    Noise alone makes a curve fall: one that stands still at 0.8, of 50 episodes a row and ten seeds, falls by .07.
    Drawn anew it does so once more, so the interval is what lies as far below the fall as the draws lie above (the
    basic bootstrap; Davison and Hinkley 1997, 5.2.1); that of the still curve reaches down to 0.
    """
    if not rates:
        return 0.0, 0.0
    rng = np.random.default_rng(seed)
    drawn = [_middle(runs[rng.integers(len(runs), size=(resamples, len(runs)))]) for runs in rates.values()]
    high, low = np.maximum(2 * fall(rates) - np.percentile(_deepest(np.mean(drawn, axis=0)), [2.5, 97.5]), 0.0)
    return float(low), float(high)


def _middle(runs: np.ndarray) -> np.ndarray:
    """(..., seeds, steps) to (..., steps): the seeds' interquartile mean."""
    return trim_mean(runs, 0.25, axis=-2)


def _deepest(rates: np.ndarray) -> np.ndarray:
    """(..., steps) to (...): the furthest below what was reached before."""
    return np.max(np.maximum.accumulate(rates, axis=-1) - rates, axis=-1, initial=0.0)


def gap_interval(scores: Scores, rival: Scores, seed: int = 0) -> tuple[float, float, float]:
    """Mean over the shared tasks of (scores - rival), and its 95 % interval, tasks drawn anew and each one's seeds."""
    shared = [task for task in scores if task in rival]
    rng = np.random.default_rng(seed)

    def drawn(runs: np.ndarray) -> np.ndarray:
        return runs[rng.integers(len(runs), size=(RESAMPLES, len(runs)))].mean(axis=1)

    gaps = np.stack([drawn(scores[task]) - drawn(rival[task]) for task in shared])
    tasks = rng.integers(len(shared), size=(len(shared), RESAMPLES))
    low, high = np.percentile(np.take_along_axis(gaps, tasks, axis=0).mean(axis=0), [2.5, 97.5])
    gap = np.mean([scores[task].mean() - rival[task].mean() for task in shared])
    return float(gap), float(low), float(high)


def probability_of_improvement(scores: Scores, rival: Scores) -> float:
    """P(a run of one beats a run of the other on a task drawn at random), ties counting half."""
    shared = [task for task in scores if task in rival]
    wins = []
    for task in shared:
        ours, theirs = scores[task][:, None], rival[task][None, :]
        wins.append(np.mean((ours > theirs) + 0.5 * (ours == theirs)))
    return float(np.mean(wins))


def _interval(
    samples: list[np.ndarray], statistic: Callable[..., float], seed: int, resamples: int
) -> tuple[float, float]:
    """Each sample is resampled by itself. One of a single score stays as it is."""
    if all(len(np.unique(sample)) == 1 for sample in samples):
        return statistic(*samples), statistic(*samples)
    spread = [sample if len(sample) > 1 else np.repeat(sample, 2) for sample in samples]  # scipy wants two
    result = bootstrap(
        spread,
        statistic,
        n_resamples=resamples,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
