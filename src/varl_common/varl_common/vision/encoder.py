"""Pictures as a flat vector of numbers, by a frozen tower: to learn from them costs what it costs from a state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from varl_common.vision.heads import spatial_softmax
from varl_common.vision.tower import Tower

HEADS = ("softmax", "maps")


class FrozenEncoder:
    """Features of one picture of each camera.

    Attributes:
        size: numbers in them.
        bounds: all lie in -bounds..bounds; infinite where that is not known.
        shape: (channels, height, width) of a picture's maps.
        identity: what tells these features from others, in a line.
    """

    def __init__(self, tower: Tower, cameras: Sequence[str], side: int, head: str = "softmax") -> None:
        """Make it.

        Args:
            tower: looks at the pictures.
            cameras: in the order of their features.
            side: pixels of a picture's sides.
            head: "softmax", the place of each channel (:func:`.heads.spatial_softmax`), or "maps", the tower's maps as
                they are, for weights over their places that a policy learns.
        """
        self._tower, self._cameras, self._head = tower, list(cameras), head
        maps = tower(np.zeros((1, side, side, 3), np.uint8))
        self.shape: tuple[int, int, int] = tuple(maps.shape[1:])  # type: ignore[assignment]
        each = 2 * self.shape[0] if head == "softmax" else int(np.prod(self.shape))
        self.size, self.bounds = each * len(self._cameras), 1.0 if head == "softmax" else np.inf
        self.identity = f"{head} of {', '.join(cameras)} at {side} by {tower.fingerprint:08x}"

    def __call__(self, pictures: Mapping[str, NDArray[np.uint8]]) -> NDArray[np.float32]:
        """(size,) of ``pictures``, (side, side, 3) uint8 RGB by camera."""
        maps = self._tower(np.stack([pictures[camera] for camera in self._cameras]))
        found = spatial_softmax(maps) if self._head == "softmax" else maps
        return np.asarray(found.cpu().numpy().ravel(), np.float32)
