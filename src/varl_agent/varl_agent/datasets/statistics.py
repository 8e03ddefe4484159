"""What learners normalise by: smallest, largest, mean and standard deviation of each feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHOWN = 8  # pictures of an episode that count: its others are much the same


class Statistics:
    """Gathered episode by episode, in float64."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Any, ...]] = {}

    def add(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Rows (n,) or (n, d) of each feature."""
        for name, values in columns.items():
            self._add(name, np.asarray(values, np.float64).reshape(len(values), -1))

    def add_pictures(self, name: str, pictures: NDArray[np.uint8]) -> None:
        """(n, height, width, 3): by channel, in [0, 1]."""
        some = pictures[:: max(len(pictures) // _SHOWN, 1)]
        self._add(name, some.reshape(-1, some.shape[-1]).astype(np.float64) / 255, shape=(-1, 1, 1), frames=len(some))

    def _add(self, name: str, rows: NDArray[np.float64], shape: tuple[int, ...] = (-1,), frames: int = 0) -> None:
        new = (
            rows.min(axis=0),
            rows.max(axis=0),
            rows.sum(axis=0),
            (rows**2).sum(axis=0),
            len(rows),
            frames or len(rows),
        )
        low, high, total, squares, count, seen = new
        if name in self._sums:
            old = self._sums[name]
            low, high = np.minimum(low, old[0]), np.maximum(high, old[1])
            total, squares, count, seen = total + old[2], squares + old[3], count + old[4], seen + old[5]
        self._sums[name] = low, high, total, squares, count, seen, shape

    def values(self) -> dict[str, dict[str, Any]]:
        """As LeRobot's meta/stats.json has them."""
        told = {}
        for name, (low, high, total, squares, count, seen, shape) in self._sums.items():
            mean = total / count
            std = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
            arrays = {"min": low, "max": high, "mean": mean, "std": std}
            told[name] = {key: value.reshape(shape).tolist() for key, value in arrays.items()} | {"count": [seen]}
        return told
