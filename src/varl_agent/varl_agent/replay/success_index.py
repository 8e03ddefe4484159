"""Which rows of the replay belong to successful episodes, so that batches can draw on them.

A sparse reward sits in few rows. Once guidance is let go, the critic must know what success is worth all along the way
to it, or the actor follows the critic's errors and unlearns what it was shown.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import DictReplayBufferSamples, ReplayBufferSamples


class SuccessIndex:
    """Rows (time, environment) of the replay that lie in episodes which ended in success.

    ``capacity`` is the number of time rows of the replay: older rows have been overwritten.
    """

    def __init__(self, capacity: int, n_envs: int) -> None:
        self.capacity = capacity
        self.time = 0  # rows added to the replay so far
        self.ended = 0  # episodes so far
        self.episodes = 0  # successful ones so far
        self._start = np.zeros(n_envs, np.int64)  # where each environment's running episode began
        self._won = np.zeros(n_envs, bool)
        self._rows = np.empty((0, 2), np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, dones: np.ndarray, infos: list[dict[str, Any]]) -> None:
        """Note one row of the replay: which episodes ended, and whether ``info["is_success"]`` was true in them."""
        self._won |= np.array([bool(info.get("is_success", False)) for info in infos])
        self.time += 1
        for i in np.flatnonzero(dones):
            if self._won[i]:
                times = np.arange(self._start[i], self.time)
                self._rows = np.concatenate([self._rows, np.stack([times, np.full_like(times, i)], axis=1)])
                self.episodes += 1
            self._start[i], self._won[i] = self.time, False
            self.ended += 1
        if len(self._rows) and self._rows[0, 0] < self.time - self.capacity:
            self._rows = self._rows[self._rows[:, 0] >= self.time - self.capacity]

    def follow(self, replay: ReplayBuffer) -> None:
        """Forget the rows where ``replay`` is not the one that they are of: a model may be loaded without its own."""
        size, n_envs = replay.buffer_size, replay.n_envs
        same = self.capacity == size and len(self._won) == n_envs
        if same and self.time % size == replay.pos and (self.time >= size) == replay.full:
            return
        self.capacity, self.time = size, replay.pos + size * replay.full
        self._start, self._won = np.full(n_envs, self.time), np.zeros(n_envs, bool)
        self._rows = np.empty((0, 2), np.int64)

    def restart(self) -> None:
        """The environments were reset from outside: the running episodes begin anew."""
        self._start[:], self._won[:] = self.time, False

    def sample(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """(n,) rows of the replay and (n,) environments, drawn with replacement (numpy's global generator)."""
        known = self._rows  # another thread may add to it
        rows = known[np.random.randint(0, len(known), size=n)]  # noqa: NPY002
        return rows[:, 0] % self.capacity, rows[:, 1]

    def state_dict(self) -> dict[str, th.Tensor]:
        """All of it as tensors."""
        counts = np.array([self.capacity, self.time, self.ended, self.episodes], np.int64)
        arrays = {"counts": counts, "start": self._start, "won": self._won, "rows": self._rows}
        return {name: th.from_numpy(value.copy()) for name, value in arrays.items()}

    def load_state_dict(self, state: dict[str, th.Tensor], strict: bool = True) -> None:
        """Inverse of :meth:`state_dict` (``strict`` is for torch's signature)."""
        self.capacity, self.time, self.ended, self.episodes = (int(value) for value in state["counts"])
        self._start, self._won = state["start"].cpu().numpy().copy(), state["won"].cpu().numpy().copy()
        self._rows = state["rows"].cpu().numpy().copy()


def gather(
    replay: ReplayBuffer, rows: np.ndarray, envs: np.ndarray, normalize: Any = None
) -> ReplayBufferSamples | DictReplayBufferSamples:
    """The named rows of an SB3 replay buffer as a batch; ``normalize`` is the VecNormalize in use, or None."""

    def observations(of: Any, shift: int = 0) -> Any:
        at = (rows + shift) % replay.buffer_size
        values = {key: value[at, envs] for key, value in of.items()} if isinstance(of, dict) else of[at, envs]
        values = replay._normalize_obs(values, normalize)
        if isinstance(values, dict):
            return {key: replay.to_torch(value) for key, value in values.items()}
        return replay.to_torch(values)

    compact = replay.optimize_memory_usage
    batch = DictReplayBufferSamples if isinstance(replay.observations, dict) else ReplayBufferSamples
    ended = replay.dones[rows, envs] * (1 - replay.timeouts[rows, envs])
    return batch(
        observations=observations(replay.observations),
        actions=replay.to_torch(replay.actions[rows, envs]),
        next_observations=observations(replay.observations if compact else replay.next_observations, int(compact)),
        dones=replay.to_torch(ended.reshape(-1, 1)),
        rewards=replay.to_torch(replay._normalize_reward(replay.rewards[rows, envs].reshape(-1, 1), normalize)),
    )
