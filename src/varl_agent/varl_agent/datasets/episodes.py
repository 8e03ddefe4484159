"""Episodes as every format has them, and what is known of where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Source:
    """What episodes are of.

    Attributes:
        task: what is done, in words.
        robot: its name.
        state_names, action_names: of the numbers.
        period: seconds a step takes.
        cameras: shape (height, width, 3) of each camera's pictures.
        steps: how many there are, those of episodes that are left out included; 0 where that is not known.
    """

    task: str
    robot: str
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    period: float
    cameras: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    steps: int = 0


@dataclass(frozen=True)
class Episode:
    """n steps. What a row holds is as it was before its action, but for reward and success, which came of it.

    Attributes:
        states: (n, d) float32.
        actions: (n, k) float32, in [-1, 1].
        rewards: (n,) float32.
        by_person: (n,) bool, a person acted.
        success: the task itself ended the episode with the last step; else it was cut there.
        pictures: (n, height, width, 3) uint8 of each camera.
    """

    states: NDArray[np.float32]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    by_person: NDArray[np.bool_]
    success: bool
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.actions)


Episodes = Iterator[Episode]
