"""Whole episodes with the deterministic policy: how good is it, and what does it look like?"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from varl_common.errors import VarlError

from varl_agent.finite import not_finite
from varl_agent.vec_env.parallel_env import ParallelEnv, begin_episode, episode_seed

EVALUATION_STREAM = 1_000_000  # seeds of evaluation episodes; training uses an environment's index


class Policy(Protocol):
    """Anything that predicts actions as Stable-Baselines3's models and policies do."""

    def predict(self, observation: NDArray[np.float32], *, deterministic: bool) -> tuple[Any, Any]: ...


@dataclass(frozen=True)
class EpisodeResult:
    """How one episode went. ``frames``: one list of pictures from the reset on, where the environment captures them."""

    success: bool
    episode_return: float
    length: int
    frames: list[Any]


def play(policy: Policy, env: gym.Env[NDArray[np.float32], NDArray[np.float32]], seed: int) -> EpisodeResult:
    """One episode, begun with ``seed``; it ends where an observation is not finite.

    Raises:
        VarlError: the first one is not.
    """
    observation, info = begin_episode(env, seed)
    frames = list(info.get("frames", ()))
    total, length, success = 0.0, 0, False
    while True:
        action, _ = policy.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, info = env.step(action)
        frames += info.get("frames", ())
        total, length = total + float(reward), length + 1
        success |= bool(info.get("is_success", False))  # by any step, as in training
        if terminated or truncated or not_finite("observation", observation):
            return EpisodeResult(success, total, length, frames)


def evaluate(
    policy: Policy,
    env: ParallelEnv,
    seed: int,
    episodes: int,
    between: Callable[[], object] = lambda: None,
) -> list[EpisodeResult]:
    """Play ``episodes`` episodes, shared among the environments; the same for the same seed and policy.

    ``between`` is called in the caller's thread after each of its episodes. The episodes of ``env`` itself are broken
    off: it is to be reset or restored afterwards.
    """
    results: list[EpisodeResult | None] = [None] * episodes
    left, caller = deque(range(episodes)), threading.current_thread()
    # Stable-Baselines3's actors keep the distribution of the current call as an attribute.
    one_at_a_time = _OneAtATime(policy)

    def share(index: int) -> None:
        with contextlib.suppress(IndexError):
            while True:
                episode = left.popleft()
                try:
                    results[episode] = play(
                        one_at_a_time, env.envs[index], episode_seed(seed, EVALUATION_STREAM, episode)
                    )
                except VarlError as error:
                    left.append(episode)
                    env.lose(index, error)
                    return
                if threading.current_thread() is caller:
                    between()

    while left:
        env.run_on(env.present, share)
    return [result for result in results if result is not None]


class _OneAtATime:
    """A policy that several threads may use: it predicts for one of them at a time."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._lock = threading.Lock()

    def predict(self, observation: NDArray[np.float32], *, deterministic: bool) -> tuple[Any, Any]:
        with self._lock:
            return self._policy.predict(observation, deterministic=deterministic)
