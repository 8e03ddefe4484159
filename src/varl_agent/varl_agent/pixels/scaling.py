"""Numbers of very different size, brought to one."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces


def bounds(space: spaces.Box) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half width of each element's range; 0 and 1 where it has no bounds."""
    low, high = space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
    bounded = np.isfinite(low) & np.isfinite(high) & (high > low)
    middle = np.where(bounded, (np.where(bounded, high, 0) + np.where(bounded, low, 0)) / 2, 0.0)
    return middle, np.where(bounded, np.where(bounded, high, 1) - middle, 1.0)
