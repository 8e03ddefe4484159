"""Several environments as one. Each is stepped in a thread of its own; all get their actions before any is waited for.

Episodes are numbered, and each is seeded from (seed, environment, number). Where time stands still between steps, the
number of an episode and the actions taken in it therefore determine the state; a checkpoint keeps these.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvStepReturn
from varl_common.errors import VarlError

from varl_agent.finite import not_finite

LATENCIES = 1000

Observation = Any  # an array, or a dict of arrays
Action = NDArray[np.float32]
# Observation (the next episode's first where this one ended), reward, done, info.
StepResult = tuple[Observation, float, bool, dict[str, Any]]
ResultT = TypeVar("ResultT")


def episode_seed(seed: int, stream: int, episode: int) -> int:
    """The 32-bit seed of an episode. ``stream`` is the environment's index in training."""
    return int(np.random.SeedSequence((seed, stream, episode)).generate_state(1)[0])


def begin_episode(env: gym.Env[Observation, Action], seed: int) -> tuple[Observation, dict[str, Any]]:
    """Reset ``env``; the first observation, and its info.

    Raises:
        VarlError: what is observed is not finite.
    """
    observation, info = env.reset(seed=seed)
    if words := not_finite("observation", observation):
        raise VarlError(f"an episode begins where {words}; check that sensor, and go on with resume:=true")
    return observation, info


def stacked(observations: Sequence[Observation]) -> Observation:
    """Observations of n environments as one, (n, ...)."""
    if isinstance(observations[0], dict):
        return {key: np.stack([one[key] for one in observations]) for key in observations[0]}
    return np.stack(observations)


class ParallelEnv(VecEnv):
    """n Gymnasium environments with Box (or Dict) observations and Box actions as a Stable-Baselines3 VecEnv.

    ``info`` of an episode's last step holds ``terminal_observation``, ``TimeLimit.truncated`` and ``episode`` (return
    ``r``, length ``l``), as Stable-Baselines3 expects them; ``begins_episode`` is true in its first step alone.
    """

    def __init__(self, envs: Sequence[gym.Env[Observation, Action]], seed: int) -> None:
        self.envs = list(envs)
        self.seed_value = seed
        self.episodes = [-1] * len(self.envs)
        self.actions: list[list[Action]] = [[] for _ in self.envs]
        self.returns = [0.0] * len(self.envs)
        self.latencies: deque[float] = deque(maxlen=LATENCIES)  # seconds from an observation to its action, newest last
        self._observed_at: float | None = None
        # The last environment runs in the caller's thread: with one there is no thread to hand over to.
        self._threads = ThreadPoolExecutor(max(len(self.envs) - 1, 1), thread_name_prefix="env")
        first = self.envs[0]
        super().__init__(len(self.envs), first.observation_space, first.action_space)

    @property
    def present(self) -> list[int]:
        """Indices of the environments that take part."""
        return list(range(self.num_envs))

    def lose(self, index: int, error: Exception) -> None:
        """An environment has failed; this class cannot go on without one, so it raises ``error``."""
        raise error

    def run_on(self, indices: Sequence[int], call: Callable[[int], ResultT]) -> list[ResultT]:
        """Run ``call(index)`` for these environments at the same time; returns the results in order.

        Where one raises, its error is raised here after the others have returned.
        """
        waiting: list[Future[ResultT]] = [self._threads.submit(call, index) for index in indices[:-1]]
        try:
            last = call(indices[-1])
        except Exception:
            for future in waiting:
                future.exception()
            raise
        return [future.result() for future in waiting] + [last]

    def reset(self) -> Observation:
        """Begin the next episode everywhere; observations (n, size)."""
        return self._observations_after(self._begin)

    def step_async(self, actions: NDArray[np.float32]) -> None:
        if self._observed_at is not None:
            self.latencies.append(time.perf_counter() - self._observed_at)
        self._pending = actions

    def step_wait(self) -> VecEnvStepReturn:
        results = self._take_steps()
        ended = any(result[2] for result in results)
        self._observed_at = None if ended else time.perf_counter()  # after a reset the robot rests
        observations, rewards, dones, infos = zip(*results, strict=True)
        return stacked(observations), np.array(rewards, np.float32), np.array(dones), list(infos)

    def _observations_after(self, call: Callable[[int], Observation]) -> Observation:
        """Observations (n, size) that ``call(index)`` returns for each environment."""
        return stacked(self.run_on(self.present, call))

    def _take_steps(self) -> list[StepResult]:
        return self.run_on(self.present, self._step)

    def state(self) -> dict[str, Any]:
        """Where the episodes stand, for a checkpoint."""
        return {
            "episodes": list(self.episodes),
            "actions": [np.array(taken, np.float32).reshape(-1, *self.action_space.shape) for taken in self.actions],  # type: ignore[misc]
        }

    def restore(self, state: dict[str, Any], replay: bool) -> Observation:
        """Go back to where :meth:`state` was taken; returns the observations (n, size).

        With ``replay`` the episodes begin again and the actions taken in them are repeated, which leads to the same
        state where time stands still between steps. Without it the next episodes begin: a real arm repeats nothing.
        """
        self.episodes = list(state["episodes"])
        if not replay:
            return self.reset()
        self.episodes = [max(episode - 1, -1) for episode in self.episodes]  # -1: taken before the first episode

        def repeat(index: int) -> Observation:
            observation = self._begin(index)
            for action in state["actions"][index]:
                observation, *_ = self._advance(index, action)
            return observation

        return self._observations_after(repeat)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for env in {id(env): env for env in self.envs}.values():
            env.close()

    def _begin(self, index: int) -> Observation:
        self.episodes[index] += 1
        self.actions[index], self.returns[index] = [], 0.0
        seed = episode_seed(self.seed_value, index, self.episodes[index])
        observation, self.reset_infos[index] = begin_episode(self.envs[index], seed)
        return observation

    def _advance(self, index: int, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        result = self.envs[index].step(action)
        observation, reward, terminated, truncated, info = result
        taken = info["executed_action"] if info.get("intervened") else action  # what leads here once more
        self.actions[index].append(np.array(taken, np.float32))
        if not_finite("", observation) or not_finite("", reward):
            # A robot whose sensors fail: its episode ends here, and VARL leaves this transition out.
            return observation, float(reward), False, True, info
        self.returns[index] += float(reward)
        return observation, float(reward), terminated, truncated, info

    def _move(self, index: int) -> StepResult:
        """Take the pending action; the observation is the episode's own, also where it has ended."""
        observation, reward, terminated, truncated, info = self._advance(index, self._pending[index])
        info["TimeLimit.truncated"] = truncated and not terminated
        info["begins_episode"] = len(self.actions[index]) == 1
        if terminated or truncated:
            info["terminal_observation"] = observation
            info["episode"] = {"r": self.returns[index], "l": len(self.actions[index])}
        return observation, reward, terminated or truncated, info

    def _step(self, index: int) -> StepResult:
        observation, reward, done, info = self._move(index)
        if done:
            observation = self._begin(index)
            # What only the reset found out is of this step and those before it.
            late = self.reset_infos[index].get("void_steps", 0)
            if late:
                info |= {"void_steps": max(late, info.get("void_steps", 0)), "is_success": False}
        return observation, reward, done, info

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [env.get_wrapper_attr(attr_name) for env in self._chosen(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        for env in self._chosen(indices):
            env.set_wrapper_attr(attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        return [env.get_wrapper_attr(method_name)(*args, **kwargs) for env in self._chosen(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: VecEnvIndices = None) -> list[bool]:
        return [is_wrapped(env, wrapper_class) for env in self._chosen(indices)]

    def _chosen(self, indices: VecEnvIndices) -> list[gym.Env[Observation, Action]]:
        return [self.envs[index] for index in self._get_indices(indices)]
