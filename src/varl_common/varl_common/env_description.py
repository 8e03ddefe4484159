"""What an environment is: the mirror of varl_interfaces/EnvDescription for code without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = Sequence[float] | NDArray[Any]

TOOL = "tool"
MOTIONS = ("dx", "dy", "dz")
"""Axes along which an action moves the tool."""
TURNS = {"rx": 0, "ry": 1, "rz": 2, "yaw": 2}
"""Axes about which an action turns the tool, as elements of a rotation vector in the base frame."""


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
        return [i for i, name in enumerate(self.action_names) if name in MOTIONS]


class Scene(Protocol):
    """What a plan must know of an environment: some fields of :class:`EnvDescription`."""

    @property
    def observation_names(self) -> Sequence[str]: ...
    @property
    def observation_low(self) -> Numbers: ...
    @property
    def observation_high(self) -> Numbers: ...
    @property
    def action_names(self) -> Sequence[str]: ...
    @property
    def action_scale(self) -> Numbers: ...
    @property
    def entities(self) -> Sequence[str]: ...
    @property
    def entity_indices(self) -> Sequence[int]: ...


def motion_of(
    action: Sequence[float] | NDArray[np.float32], names: Sequence[str], scale: Sequence[float] | NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """What an action asks for in a control period: the tool's way (3,) m, and the rotation vector (3,) rad of its turn.

    That is None where no axis turns it. ``names`` and ``scale``: as an :class:`EnvDescription` has them.
    """
    way, turn = np.zeros(3), np.zeros(3)
    for value, name, one in zip(action, names, scale, strict=True):
        if name in MOTIONS:
            way[MOTIONS.index(name)] = value * one
        elif name in TURNS:
            turn[TURNS[name]] = value * one
    return way, turn if any(name in TURNS for name in names) else None


def as_yaml(description: EnvDescription) -> dict[str, Any]:
    """Its fields by name, without numpy, for a run's config.yaml."""
    return {key: value.tolist() if hasattr(value, "tolist") else value for key, value in asdict(description).items()}
