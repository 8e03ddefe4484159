"""What an environment is: the mirror of varl_interfaces/EnvDescription for code without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EnvDescription:
    """Everything that a policy or an advisor must know of an environment; fields and units as in EnvDescription.msg."""

    task: str
    robot: str
    backend: str
    instruction: str
    base_frame: str
    observation_names: Sequence[str]
    observation_units: Sequence[str]
    observation_low: NDArray[np.float32]
    observation_high: NDArray[np.float32]
    action_names: Sequence[str]
    action_units: Sequence[str]
    action_scale: NDArray[np.float64]
    entities: Sequence[str]
    entity_indices: Sequence[int]
    control_period: float
    max_episode_steps: int
    lock_step: bool
    cameras: Sequence[str] = field(default_factory=list)
    observation: str = "state"
    observed: Sequence[int] = ()
    picture_cameras: Sequence[str] = ()
    picture_sides: Sequence[int] = ()

    def position(self, entity: str, state: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Position of ``entity`` in ``base_frame``, metres, shape (3,); None where the state has none."""
        if entity not in self.entities:
            return None
        index = self.entity_indices[list(self.entities).index(entity)]
        return np.asarray(state[index : index + 3], np.float64)

    @property
    def translations(self) -> list[int]:
        """Indices of dx, dy, dz in an action."""
        return [i for i, name in enumerate(self.action_names) if name in ("dx", "dy", "dz")]
