"""Which rows of the replay belong to successful episodes, so that batches can draw on them.

A sparse reward sits in few rows. Once guidance is let go, the critic must know what success is worth all along the way
to it, or the actor follows the critic's errors and unlearns what it was shown.

Where ``info["advised"]`` is given a plan acted, and where ``info["intervened"]`` is true a person did: an episode with
such a step can be drawn, but neither the number of successes nor the recent ones' rate knows of it, which are the
policy's own.

An episode succeeds if ``info["is_success"]`` is true in any of its steps: whoever counts successes asks here.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.type_aliases import DictReplayBufferSamples, ReplayBufferSamples

RECENT_EPISODES = 20  # over which the success rate is taken: it moves in steps of 5 %


class SuccessIndex:
    """Rows (time, environment) of the replay that lie in episodes which ended in success.

    Args:
        capacity: time rows of the replay; older ones have been overwritten.
        n_envs: environments.

    Attributes:
        time: rows added to the replay so far.
        ended, own: episodes that have ended so far, and those of the policy's own that succeeded.
    """

    def __init__(self, capacity: int, n_envs: int) -> None:
        self.capacity = capacity
        self.time = self.ended = self.own = 0
        self._start = np.zeros(n_envs, np.int64)  # where each environment's running episode began
        self._succeeded = np.zeros(n_envs, bool)  # whether it has succeeded already
        self._helped = np.zeros(n_envs, bool)  # whether the policy did not act alone in it
        self._spans = np.empty((0, 3), np.int64)  # first row, end and environment of each successful episode
        self._recent: deque[bool] = deque(maxlen=RECENT_EPISODES)

    def __len__(self) -> int:
        """Rows that can be drawn."""
        return int(self._ends(self._spans)[-1])

    @property
    def recent_success_rate(self) -> float:
        """Share of successes in the policy's last ``RECENT_EPISODES`` episodes; 0 before there have been as many."""
        return float(np.mean(self._recent)) if len(self._recent) == RECENT_EPISODES else 0.0

    def succeeded(self, infos: list[dict[str, Any]]) -> np.ndarray:
        """(n_envs,) whether each running episode has succeeded by the step of ``infos``, which is not added yet."""
        now = [bool(info.get("is_success", False)) and "stands_in" not in info for info in infos]
        return (self._succeeded & ~_begin(infos)) | np.array(now)

    def helped(self, infos: list[dict[str, Any]]) -> np.ndarray:
        """(n_envs,) whether a plan or a person has acted in each running episode, the step of ``infos`` among it."""
        now = ["advised" in info or bool(info.get("intervened", False)) for info in infos]
        return (self._helped & ~_begin(infos)) | np.array(now)

    def recount(self) -> None:
        """The policy's own successes and their rate are counted from 0 again."""
        self.own = 0
        self._recent.clear()

    def add(self, dones: np.ndarray, infos: list[dict[str, Any]]) -> None:
        """Note one row of the replay.

        Where ``info["stands_in"]`` is given the transition is another environment's, stored in the place of one that
        is missing: it belongs to no episode here, and the running one is broken off. So it is where
        ``info["begins_episode"]`` is true before it has ended.
        """
        self._succeeded, self._helped = self.succeeded(infos), self.helped(infos)
        self._start[_begin(infos)] = self.time
        self.time += 1
        stands_in = np.array(["stands_in" in info for info in infos])
        for i in np.flatnonzero(dones & ~stands_in):
            success = bool(self._succeeded[i])
            if success:
                recent = self._spans[self._spans[:, 1] > self._oldest]
                self._spans = np.concatenate([recent, [[self._start[i], self.time, i]]])
            self._count(success, bool(self._helped[i]))
        self.restart(np.asarray(dones, bool) | stands_in)

    def break_off(self, envs: list[int], infos: list[dict[str, Any]]) -> None:
        """The episodes of ``envs`` end with the step of ``infos``, of which the replay gets no row: they count, but
        nothing of them is drawn."""
        succeeded, helped = self.succeeded(infos), self.helped(infos)
        for i in envs:
            if "stands_in" not in infos[i]:
                self._count(bool(succeeded[i]), bool(helped[i]))
        self.restart(envs)

    def _count(self, success: bool, helped: bool) -> None:
        self.ended += 1
        if not helped:
            self.own += success
            self._recent.append(success)

    def adopt(self, rows: int, spans: np.ndarray) -> None:
        """The replay holds ``rows`` rows of another run's, of which ``spans`` (k, 3) (first row, end, environment) are
        episodes that succeeded: they can be drawn, and count in no rate."""
        self.time, self._spans = rows, spans
        self.restart()

    def follow(self, replay: ReplayBuffer) -> None:
        """Forget the rows where ``replay`` is not the one that they are of: a model may be loaded without its own."""
        size, n_envs = replay.buffer_size, replay.n_envs
        same = self.capacity == size and len(self._start) == n_envs
        if same and self.time % size == replay.pos and (self.time >= size) == replay.full:
            return
        self.capacity, self.time = size, replay.pos + size * replay.full
        self._start = np.full(n_envs, self.time)
        self._succeeded, self._helped = np.zeros(n_envs, bool), np.zeros(n_envs, bool)
        self._spans = np.empty((0, 3), np.int64)

    def forget(self, env: int, end: int) -> None:
        """Draw nothing more of the environment's episode that ended before row ``end``; it still counts."""
        self._spans = self._spans[(self._spans[:, 1] != end) | (self._spans[:, 2] != env)]

    def running(self, env: int) -> int:
        """Rows of the environment's running episode so far."""
        return int(self.time - self._start[env])

    def restart(self, envs: np.ndarray | list[int] | slice = slice(None)) -> None:
        """The next row begins a new episode, by default everywhere: the environments were reset from outside."""
        self._start[envs], self._succeeded[envs], self._helped[envs] = self.time, False, False

    def sample(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """(n,) rows of the replay and (n,) environments, drawn with replacement (numpy's global generator).

        Both are empty where no row can be drawn: a model may be loaded without its replay, and where another thread
        acts, the last row that could be drawn may be overwritten after a look at ``len``.
        """
        spans = self._spans  # read once: another thread may replace it
        ends = self._ends(spans)
        if ends[-1] == 0:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        drawn = np.random.randint(0, ends[-1], size=n)  # noqa: NPY002
        span = np.searchsorted(ends[1:], drawn, side="right")
        back = ends[1:][span] - drawn  # how far before the end of its episode
        return (spans[span, 1] - back) % self.capacity, spans[span, 2]

    @property
    def _oldest(self) -> int:
        """The first row that can be drawn. The one before it is where the next is written: a replay that keeps each
        observation once (``optimize_memory_usage``) has overwritten its observation already."""
        return self.time - self.capacity + 1

    def _ends(self, spans: np.ndarray) -> np.ndarray:
        """(k + 1,) rows of the first 0, 1, ... k episodes that can still be drawn."""
        lengths = np.maximum(spans[:, 1] - np.maximum(spans[:, 0], self._oldest), 0)
        return np.concatenate([[0], np.cumsum(lengths)])

    def state_dict(self) -> dict[str, th.Tensor]:
        """All of it as tensors."""
        arrays = {
            "counts": np.array([self.capacity, self.time, self.ended, self.own], np.int64),
            "start": self._start,
            "succeeded": self._succeeded,
            "helped": self._helped,
            "spans": self._spans,
            "recent": np.array(self._recent, bool),
        }
        return {name: th.from_numpy(value.copy()) for name, value in arrays.items()}

    def load_state_dict(self, state: dict[str, th.Tensor]) -> None:
        """Inverse of :meth:`state_dict`."""
        self.capacity, self.time, self.ended, self.own = (int(value) for value in state["counts"])
        self._start, self._succeeded, self._spans = (
            state[name].cpu().numpy().copy() for name in ("start", "succeeded", "spans")
        )
        alone = th.zeros(len(self._start), dtype=th.bool)  # as it is where it was saved before this was kept
        self._helped = state.get("helped", alone).cpu().numpy().copy()
        self._recent = deque(state["recent"].tolist(), maxlen=RECENT_EPISODES)


def _begin(infos: list[dict[str, Any]]) -> np.ndarray:
    return np.array([bool(info.get("begins_episode", False)) for info in infos])


def gather(
    replay: ReplayBuffer, rows: np.ndarray, envs: np.ndarray, normalize: Any = None
) -> ReplayBufferSamples | DictReplayBufferSamples:
    """The named rows of an SB3 replay buffer as a batch of single steps, of an n-step buffer too; ``normalize`` is the
    VecNormalize in use, or None."""

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
    more: dict[str, Any] = {}
    if isinstance(replay, NStepReplayBuffer):
        more["discounts"] = replay.to_torch(np.full((len(rows), 1), replay.gamma, np.float32))
    return batch(
        observations=observations(replay.observations),
        actions=replay.to_torch(replay.actions[rows, envs]),
        next_observations=observations(replay.observations if compact else replay.next_observations, int(compact)),
        dones=replay.to_torch(ended.reshape(-1, 1)),
        rewards=replay.to_torch(replay._normalize_reward(replay.rewards[rows, envs].reshape(-1, 1), normalize)),
        **more,
    )
