"""Several samples of one question as one action, with their agreement."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STILL = 0.15
"""An axis below this counts as no movement in a vote."""


def vote(actions: list[NDArray[np.float32]]) -> tuple[NDArray[np.float32], float]:
    """Per axis the direction that most samples take, at their median size; and the mean share that agrees.

    ``actions`` are of shape (n,) in [-1, 1]. Where two directions draw, the axis stays still.
    """
    samples = np.stack(actions)
    directions = np.where(np.abs(samples) < STILL, 0.0, np.sign(samples))
    action = np.zeros(samples.shape[1], np.float32)
    agreement = np.zeros(samples.shape[1])
    for axis in range(samples.shape[1]):
        counts = {d: int((directions[:, axis] == d).sum()) for d in (-1.0, 0.0, 1.0)}
        most = max(counts.values())
        winners = [d for d, count in counts.items() if count == most]
        agreement[axis] = most / len(samples)
        if len(winners) == 1:
            action[axis] = np.median(samples[directions[:, axis] == winners[0], axis])
    return action, float(agreement.mean())
