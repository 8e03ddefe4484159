"""Episode after episode with a trained policy, for as long as wanted."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from varl_agent.training.evaluation import EpisodeResult, Policy, play
from varl_agent.vec_env.parallel_env import episode_seed


def episodes(
    policy: Policy,
    env: gym.Env[NDArray[np.float32], NDArray[np.float32]],
    seed: int,
    stream: int,
    stopping: Callable[[], bool],
    most: int = 0,
    seconds: float = 0.0,
    first: int = 0,
) -> Iterator[EpisodeResult]:
    """Play until ``stopping``, which is asked before each step; an episode that it breaks off is left out.

    Args:
        stream: of seeds, beside ``seed``; ``first`` is the number of the first episode in it.
        most: episodes to play; 0: any number.
        seconds: of wall clock, after which no episode begins; 0: any time.

    Raises:
        VarlError: an episode begins with an observation that is not finite, or as ``env`` does.
    """
    began, obedient = time.monotonic(), _UntilStopped(policy, stopping)
    for episode in itertools.count(first):
        late = 0 < seconds <= time.monotonic() - began
        if stopping() or late or 0 < most <= episode - first:
            return
        try:
            result = play(obedient, env, episode_seed(seed, stream, episode))
        except _Stopped:
            return
        yield result


@dataclass
class Tally:
    """Episodes that were played to their end, and how many of them succeeded."""

    episodes: int = 0
    successes: int = 0

    @property
    def success_rate(self) -> float:
        """0 where none was played."""
        return self.successes / self.episodes if self.episodes else 0.0

    def add(self, result: EpisodeResult) -> None:
        """Count an episode."""
        self.episodes += 1
        self.successes += result.success

    def __str__(self) -> str:
        return f"{self.successes} of {self.episodes} episodes succeeded ({self.success_rate:.0%})"


class _Stopped(Exception):
    pass


class _UntilStopped:
    """A policy that does not act any more once it is to stop."""

    def __init__(self, policy: Policy, stopping: Callable[[], bool]) -> None:
        self._policy, self._stopping = policy, stopping

    def predict(self, observation: NDArray[np.float32], *, deterministic: bool) -> tuple[Any, Any]:
        if self._stopping():
            raise _Stopped
        return self._policy.predict(observation, deterministic=deterministic)
