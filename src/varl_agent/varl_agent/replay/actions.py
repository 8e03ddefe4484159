"""Actions as a replay has them, -1..1 along each axis, and as the environment does, between its own bounds."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces


def scale_actions(space: spaces.Box, actions: np.ndarray) -> np.ndarray:
    """(n, act_dim) float32 in -1..1 of (n, *shape) in the environment's units."""
    low, span = _bounds(space)
    flat = np.asarray(actions, np.float64).reshape(len(actions), -1)
    return (2 * (flat - low) / span - 1).astype(np.float32)


def unscale_actions(space: spaces.Box, actions: np.ndarray) -> np.ndarray:
    """Inverse of :func:`scale_actions`, of the type that the environment takes."""
    low, span = _bounds(space)
    values = low + (np.asarray(actions, np.float64) + 1) / 2 * span
    return values.reshape(len(actions), *space.shape).astype(space.dtype)


def _bounds(space: spaces.Box) -> tuple[np.ndarray, np.ndarray]:
    """(act_dim,) lower bound and width of each axis; an axis of no width has but one action."""
    low, high = (np.asarray(bound, np.float64).ravel() for bound in (space.low, space.high))
    return low, np.where(high > low, high - low, 1.0)
