"""A toy robot for the tests of the agent: quick, deterministic, learnable."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box


class PointReach(gym.Env[np.ndarray, np.ndarray]):
    """A point in a square that is to reach a target; the state is its place and the target's. 20 steps an episode."""

    def __init__(self, dense: bool = True) -> None:
        self.observation_space = Box(-1, 1, (4,), np.float32)
        self.action_space = Box(-1, 1, (2,), np.float32)
        self.dense = dense
        self.capture = False

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.target = self.np_random.uniform(-0.9, 0.9, (2, 2))
        self.time = 0
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.place = np.clip(self.place + 0.2 * np.clip(action, -1, 1), -1, 1)
        self.time += 1
        distance = float(np.linalg.norm(self.place - self.target))
        success = distance < 0.2
        reward = -distance if self.dense else float(success)
        return self._observation(), reward, success, self.time >= 20, {"is_success": success}

    def _observation(self) -> np.ndarray:
        return np.concatenate([self.place, self.target]).astype(np.float32)


@pytest.fixture
def point_reach() -> type[PointReach]:
    return PointReach
