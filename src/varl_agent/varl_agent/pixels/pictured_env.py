"""An environment of pictures as VARL learns from it: the whole state first, for advice and plans, then what is seen.

Of the state a policy sees only what the environment lets it (``description.observed``): the rest is there for whoever
labels states, an advisor's plan for example, and is hidden from actor and critics (:class:`.policies.ScaledExtractor`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from varl_common.vision.encoder import FrozenEncoder

STATE = "state"


class PicturedEnv(gym.Wrapper[Any, NDArray[np.float32], Any, NDArray[np.float32]]):
    """What :class:`EncodedEnv` and :class:`FilmedEnv` share.

    ``env`` observes a Dict of pictures and ``state``, has a ``description``, and gives the whole state as
    ``info["state"]``.

    Attributes:
        hidden: elements of the state that a policy does not see, by their indices.
    """

    def __init__(self, env: gym.Env[Any, NDArray[np.float32]]) -> None:
        super().__init__(env)
        described = env.get_wrapper_attr("description")
        self.description = replace(described, observation=f"{described.observation} by {self.how()}")
        self.cameras = list(self.description.picture_cameras)
        seen = set(self.description.observed)
        self.hidden = [i for i in range(len(self.description.observation_names)) if i not in seen]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        return self.seen(observation, info), info

    def step(self, action: NDArray[np.float32]) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self.seen(observation, info), reward, terminated, truncated, info

    def how(self) -> str:
        """What is made of pictures, in words that tell it from all else."""
        raise NotImplementedError

    def seen(self, observation: Any, info: dict[str, Any]) -> Any:
        """What is learned from."""
        raise NotImplementedError


class EncodedEnv(PicturedEnv):
    """A flat Box: the whole state, then features of the pictures by a frozen tower.

    ``info["pictures"]`` holds the pictures themselves, by camera, before and after the step, for a replay to keep.
    """

    def __init__(self, env: gym.Env[Any, NDArray[np.float32]], encoder: FrozenEncoder) -> None:
        self.encoder = encoder
        super().__init__(env)
        low, high = self.description.observation_low, self.description.observation_high
        features = np.full(encoder.size, encoder.bounds, np.float32)
        self.observation_space = spaces.Box(np.append(low, -features), np.append(high, features), dtype=np.float32)
        self._pictures: dict[str, Any] = {}

    def how(self) -> str:
        return self.encoder.identity

    def seen(self, observation: Any, info: dict[str, Any]) -> NDArray[np.float32]:
        before, self._pictures = self._pictures, {camera: observation[camera] for camera in self.cameras}
        info["pictures"] = {camera: (before.get(camera), now) for camera, now in self._pictures.items()}
        return np.append(info[STATE], self.encoder(self._pictures)).astype(np.float32)


class FilmedEnv(PicturedEnv):
    """A Dict of the pictures, channels first as convolutions take them, and of the whole state."""

    def __init__(self, env: gym.Env[Any, NDArray[np.float32]]) -> None:
        super().__init__(env)
        low, high = self.description.observation_low, self.description.observation_high
        sides = dict(zip(self.cameras, self.description.picture_sides, strict=True))
        parts: dict[str, spaces.Space[Any]] = {
            camera: spaces.Box(0, 255, (3, side, side), np.uint8) for camera, side in sides.items()
        }
        self.observation_space = spaces.Dict(parts | {STATE: spaces.Box(low, high, dtype=np.float32)})

    def how(self) -> str:
        return "convolutions"

    def seen(self, observation: Any, info: dict[str, Any]) -> dict[str, Any]:
        pictures = {camera: np.ascontiguousarray(observation[camera].transpose(2, 0, 1)) for camera in self.cameras}
        return {**pictures, STATE: info[STATE]}
