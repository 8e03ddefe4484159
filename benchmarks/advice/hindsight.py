"""A task as Gymnasium's goal environments are, for hindsight relabelling (Andrychowicz et al. 2017; SB3's HER).

Only of tasks whose success is a distance that the observation tells: a thing at the goal.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.type_aliases import DictReplayBufferSamples
from varl_common.errors import VarlError

from benchmarks.advice.environments import MAZES

# What is to be at the goal, the goal, and how near it counts, m.
GOALS: dict[str, tuple[str, str, float]] = {
    "push-v3": ("object", "goal", 0.05),
    "plate-slide-v3": ("object", "goal", 0.07),
    "plate-slide-back-side-v3": ("object", "goal", 0.07),
    "pick-place-v3": ("object", "goal", 0.07),
    "reach": ("tool", "target", 0.025),
    "push": ("block", "target", 0.03),
    **dict.fromkeys(MAZES, ("x", "goal_x", 0.45)),
}


class EndingReplayBuffer(HerReplayBuffer):
    """SB3's, where what was reached in hindsight has ended the episode, as success does in these tasks: it is worth
    one reward, and not one for each step that a thing lies there."""

    def _get_virtual_samples(self, *args: Any, **kwargs: Any) -> DictReplayBufferSamples:
        samples = super()._get_virtual_samples(*args, **kwargs)
        return samples._replace(dones=th.maximum(samples.dones, (samples.rewards > 0).to(samples.dones.dtype)))


class GoalEnv(gym.Wrapper[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]):
    """``env``, whose reward for success is ``reward``, with a Dict of observation, achieved and desired goal, metres.

    The observation is scaled by its bounds, as VARL's own policy does it, and without the goal.

    Raises:
        VarlError: the task's success is no distance to a goal.
    """

    def __init__(self, env: gym.Env[np.ndarray, np.ndarray], task: str, reward: float) -> None:
        super().__init__(env)  # type: ignore[arg-type]
        if task not in GOALS:
            raise VarlError(f"hindsight needs a goal, and {task} has none that its state tells; use {', '.join(GOALS)}")
        scene = env.get_wrapper_attr("description")
        achieved, desired, self._radius = GOALS[task]
        at = dict(zip(scene.observation_names, range(len(scene.observation_names)), strict=True))
        at |= dict(zip(scene.entities, scene.entity_indices, strict=True))
        size = 2 if task in MAZES else 3
        self._achieved, self._desired = (slice(at[name], at[name] + size) for name in (achieved, desired))
        self._reward = reward
        low, high = np.asarray(scene.observation_low), np.asarray(scene.observation_high)
        self._middle, self._half = (high + low) / 2, np.maximum((high - low) / 2, 1e-6)
        self._rest = np.delete(np.arange(len(low)), np.r_[self._desired])
        everywhere = gym.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.observation_space = gym.spaces.Dict(  # type: ignore[assignment]
            observation=gym.spaces.Box(-np.inf, np.inf, (len(self._rest),), np.float32),
            achieved_goal=everywhere,
            desired_goal=everywhere,
        )

    def reset(self, **kwargs: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        observation, info = self.env.reset(**kwargs)
        return self.parts(observation), info

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self.parts(observation), float(reward), terminated, truncated, info

    def compute_reward(self, achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
        """(n,) reward of having brought about ``achieved`` (n, 2 or 3) where ``desired`` was wanted."""
        return self._reward * (np.linalg.norm(achieved - desired, axis=-1) <= self._radius).astype(np.float32)

    def parts(self, observation: Any) -> dict[str, np.ndarray]:
        """A task's own observation (obs_dim,) as a goal environment's."""
        scaled = (observation - self._middle) / self._half
        return {
            "observation": scaled[self._rest].astype(np.float32),
            "achieved_goal": np.asarray(observation[self._achieved], np.float32),
            "desired_goal": np.asarray(observation[self._desired], np.float32),
        }
