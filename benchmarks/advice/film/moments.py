"""Moments of Meta-World's simulator: taken while training, and gone on from in another copy of the task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

_ALL = int(mujoco.mjtState.mjSTATE_INTEGRATION)
_PLACES = ("body_pos", "body_quat", "site_pos")  # of the model: an episode's scene is set by them


@dataclass(frozen=True)
class Moment:
    """Everything that the task's next step depends on."""

    physics: np.ndarray
    places: tuple[np.ndarray, ...]
    own: dict[str, Any]

    @classmethod
    def of(cls, env: Any) -> Moment:
        """Of Meta-World's own environment, as it is now."""
        physics = np.empty(mujoco.mj_stateSize(env.model, _ALL))
        mujoco.mj_getState(env.model, env.data, physics, _ALL)
        kinds = (np.ndarray, np.generic, bool, int, float)
        own = {
            name: np.copy(v) if isinstance(v, np.ndarray) else v
            for name, v in vars(env).items()
            if isinstance(v, kinds)
        }
        return cls(physics, tuple(getattr(env.model, name).copy() for name in _PLACES), own)

    def restore(self, env: Any) -> np.ndarray:
        """Bring another copy of the task to this moment; its (obs_dim,) observation."""
        for name, value in zip(_PLACES, self.places, strict=True):
            getattr(env.model, name)[:] = value
        for name, value in self.own.items():
            setattr(env, name, np.copy(value) if isinstance(value, np.ndarray) else value)
        mujoco.mj_setState(env.model, env.data, self.physics, _ALL)
        mujoco.mj_forward(env.model, env.data)
        return np.asarray(env._get_obs(), np.float32)


class Moments:
    """What :class:`~benchmarks.advice.vlm.Filmed` takes in place of pictures."""

    def __init__(self, env: Any) -> None:
        self._env = env

    def frame(self) -> Moment:
        """Now."""
        return Moment.of(self._env)
