"""How near to success a state is: what the preference teacher judges by, never seen by the agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.advice.environments import ARM_TASKS, MAZES
from benchmarks.advice.route import Route

Measure = Callable[[np.ndarray, dict[str, Any]], float]


def progress_of(task: str, env: gym.Env[Any, Any]) -> Measure:
    """Meta-World: its dense reward. Maze: the way to go. Arm: distances as in the task's dense reward."""
    if task in MAZES:
        route = Route.through(env.unwrapped.maze)  # type: ignore[attr-defined]
        return lambda observation, info: -route.distance(observation)
    if task in ARM_TASKS:
        scene = env.get_wrapper_attr("description")
        at = dict(zip(scene.entities, scene.entity_indices, strict=True))
        pairs = [("tool", "block"), ("block", "target")] if "block" in at else [("tool", "target")]

        def nearness(observation: np.ndarray, info: dict[str, Any]) -> float:
            return -sum(
                float(np.linalg.norm(observation[at[a] : at[a] + 3] - observation[at[b] : at[b] + 3])) for a, b in pairs
            )

        return nearness
    return lambda observation, info: float(info["dense_reward"])


class Progress(gym.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """Adds ``info["progress"]`` where a measure is given."""

    def __init__(self, env: gym.Env[np.ndarray, np.ndarray], measure: Measure | None) -> None:
        super().__init__(env)
        self._measure = measure

    def step(self, action: np.ndarray) -> Any:
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._measure is not None:
            info["progress"] = self._measure(observation, info)
        return observation, reward, terminated, truncated, info
