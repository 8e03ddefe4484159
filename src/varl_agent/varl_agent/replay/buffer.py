"""Stable-Baselines3's replay buffer over a :class:`ReplayStore`: it draws the same samples and survives a crash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import BaseBuffer, ReplayBuffer
from stable_baselines3.common.type_aliases import DictReplayBufferSamples, ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from varl_common.errors import VarlError

from varl_agent.finite import not_finite
from varl_agent.replay.layout import Layout, Tag
from varl_agent.replay.store import ReplayStore

Observations = np.ndarray | dict[str, np.ndarray]
IMAGE = np.uint8


class PersistentReplayBuffer(ReplayBuffer):
    """A replay buffer on disk. Sampling draws from numpy's global generator exactly as Stable-Baselines3's does.

    Pickled it is no more than a reference to its folder, which ``model.load_replay_buffer`` opens again.

    Observations are a Box of numbers, or a Dict of such and of uint8 images; numbers are kept as float32.
    ``info["tag"]`` (:class:`Tag`) says who acted in a transition; by default the policy, a person where
    ``info["intervened"]``, a plan where ``info["advised"]``, and nobody where ``info["stands_in"]``.

    Args:
        folder: where the store is, or is to be; rows in it are there at once.
        slack: time rows kept beyond the buffer's size for :meth:`load_state_dict`.
        pictures: shape of the uint8 pictures of each camera that are kept beside the rows, once each, and not drawn:
            ``info["pictures"]`` has those before and after a transition, by camera.

    Raises:
        VarlError: as :class:`ReplayStore`; or the observations are of another kind.
    """

    action_space: spaces.Box

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: th.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        *,
        folder: str | Path,
        slack: int = 20_000,
        pictures: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        if not isinstance(action_space, spaces.Box):
            raise VarlError(f"the replay keeps actions of a Box, not of {action_space}; convert them in a wrapper")
        BaseBuffer.__init__(self, buffer_size, observation_space, action_space, device, n_envs=n_envs)
        self.buffer_size = max(buffer_size // n_envs, 1)
        self.optimize_memory_usage = False  # the store is compact as it is
        self.handle_timeout_termination = handle_timeout_termination
        self._dict = isinstance(observation_space, spaces.Dict)
        parts = (
            dict(observation_space.items()) if isinstance(observation_space, spaces.Dict) else {"": observation_space}
        )
        self.parts = parts  # the space of each part of an observation; "" is the whole
        self._images = {k: s.shape for k, s in parts.items() if isinstance(s, spaces.Box) and s.dtype == IMAGE}
        self._numbers: dict[str, tuple[slice, tuple[int, ...]]] = {}
        end = 0
        for key, space in parts.items():
            if key in self._images:
                continue
            if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating):
                raise VarlError(
                    f"the replay keeps Boxes of floats and of uint8 images, not {space}; convert it in a wrapper"
                )
            self._numbers[key] = (slice(end, end := end + int(np.prod(space.shape))), space.shape)
        self._kept = dict(pictures or {})
        layout = Layout(end, self.action_dim, self.buffer_size, slack, n_envs, {**self._images, **self._kept})
        self.store = ReplayStore(folder, layout)
        self._row = np.zeros(n_envs, layout.row)
        columns = {key: _Column(self, key, "") for key in parts}, {key: _Column(self, key, "next_") for key in parts}
        self.observations, self.next_observations = columns if self._dict else (c[""] for c in columns)  # type: ignore[assignment]
        names = {"actions": "action", "rewards": "reward", "dones": "done", "timeouts": "timeout"}
        for name, field in names.items():
            setattr(self, name, _Column(self, field))
        self.observation_keys = (*self._numbers, *self._images)  # of a single observation that is the whole: ""
        self._on_cpu = self.device.type == "cpu"
        self._follow()
        _OPEN[self.store.folder.resolve()] = self

    def add(
        self,
        obs: Any,
        next_obs: Any,
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Commit one transition of each environment.

        Raises:
            VarlError: the disk is full, or there is a number that is not finite; nothing has changed then.
        """
        given = {"observation": obs, "action": action, "next_observation": next_obs, "reward": reward}
        for name, part in given.items():
            if words := not_finite(name, part):
                raise VarlError(f"a replay takes finite numbers, but {words}; leave that transition out")
        before, after = (o if self._dict else {"": o} for o in (obs, next_obs))
        row = self._row
        for key, (columns, _) in self._numbers.items():
            row["observation"][:, columns] = np.reshape(before[key], (self.n_envs, -1))
            row["next_observation"][:, columns] = np.reshape(after[key], (self.n_envs, -1))
        row["action"] = np.reshape(action, (self.n_envs, self.action_dim))
        row["reward"], row["done"] = reward, done
        row["timeout"] = [self.handle_timeout_termination and info.get("TimeLimit.truncated", False) for info in infos]
        row["tag"] = [_tag(info) for info in infos]
        images = {key: (before[key], after[key]) for key in self._images}
        for camera in self._kept:
            pairs = [info["pictures"][camera] for info in infos]
            images[camera] = np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])
        self.store.append(row, images)
        self._follow()

    def times(self, rows: np.ndarray) -> np.ndarray:
        """The store's time row of each of this buffer's rows: the newest that equals it modulo the buffer's size."""
        last = self.store.count - 1
        return last - (last - rows) % self.buffer_size if self.full else rows

    def reset(self) -> None:
        """Forget everything."""
        self.store.rewind(0)
        self._follow()

    def state_dict(self) -> dict[str, int]:
        """The number of rows, for a checkpoint. The rows themselves are on disk already."""
        return {"count": self.store.count}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go back to where ``state`` was taken; newer rows are forgotten.

        Raises:
            VarlError: the store does not hold those rows (any more).
        """
        self.store.rewind(state["count"])
        self._follow()

    def _get_samples(self, batch_inds: np.ndarray, env: VecNormalize | None = None) -> Any:
        # As SB3 draws, but for a single environment, where numpy's generator stays as it is.
        env_indices = np.random.randint(0, self.n_envs, len(batch_inds)) if self.n_envs > 1 else 0  # noqa: NPY002
        rows = self.store.take(self.times(batch_inds), env_indices)
        rewards = rows["reward"].reshape(-1, 1)
        ended = (rows["done"] * (1 - rows["timeout"])).reshape(-1, 1)
        return (DictReplayBufferSamples if self._dict else ReplayBufferSamples)(
            observations=self._observations(rows, "", env),
            actions=self._tensor(rows["action"]),
            next_observations=self._observations(rows, "next_", env),
            dones=self._tensor(ended),
            rewards=self._tensor(self._normalize_reward(rewards, env)),
        )

    def _observations(self, rows: np.ndarray, which: str, env: VecNormalize | None) -> Any:
        parts: Any = {key: self.part(rows, key, which) for key in self.observation_keys}
        if not self._dict:
            (parts,) = parts.values()
        values: Any = parts if env is None else self._normalize_obs(parts, env)
        return {k: self._tensor(v) for k, v in values.items()} if self._dict else self._tensor(values)

    def _tensor(self, array: np.ndarray) -> th.Tensor:
        """``array`` as a tensor, without a copy on a CPU; nothing else uses ``array``."""
        return th.from_numpy(array) if self._on_cpu else th.from_numpy(array).to(self.device)

    def part(self, rows: np.ndarray, key: str, which: str) -> np.ndarray:
        """One part ("" is the whole) of the observations in these rows of the store; ``which`` is "" or "next_"."""
        if key in self._images:
            return self.store.frames(key, rows[f"{which}frame/{key}"])
        columns, shape = self._numbers[key]
        numbers = rows[f"{which}observation"]
        return numbers if numbers.shape[1:] == shape else numbers[:, columns].reshape(len(rows), *shape)

    def _follow(self) -> None:
        # In this order: another thread may sample in between.
        self.full, self.pos = self.store.count >= self.buffer_size, self.store.count % self.buffer_size

    def __reduce__(self) -> tuple[Any, ...]:
        # ``model.save_replay_buffer`` and CheckpointCallback pickle a replay. The rows are on disk already: what is
        # pickled is where.
        arguments = {
            "buffer_size": self.buffer_size * self.n_envs,
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "device": str(self.device),
            "n_envs": self.n_envs,
            "handle_timeout_termination": self.handle_timeout_termination,
            "slack": self.store.layout.slack,
            "pictures": self._kept,
        }
        return _reopened, (str(self.store.folder.absolute()), arguments)


_OPEN: WeakValueDictionary[Path, PersistentReplayBuffer] = WeakValueDictionary()  # by folder


def _reopened(folder: str, arguments: dict[str, Any]) -> PersistentReplayBuffer:
    """The replay in ``folder`` as it is now, with the rows that were added since it was pickled.

    Raises:
        VarlError: it is not there, or as :class:`PersistentReplayBuffer`.
    """
    there = _OPEN.get(Path(folder).resolve())
    if there is not None and not there.store.closed:
        return there
    if not (Path(folder) / "header").exists():
        raise VarlError(f"the replay was in {folder} and is not there; bring that folder back")
    return PersistentReplayBuffer(**arguments, folder=folder)


def _tag(info: dict[str, Any]) -> Tag:
    if "stands_in" in info:
        return Tag.STAND_IN
    usual = Tag.PLAN if "advised" in info else Tag.POLICY
    return info.get("tag", Tag.HUMAN if info.get("intervened") else usual)


class _Column:
    """A buffer's array as Stable-Baselines3 names it, for reading by rows and environments: ``column[rows, envs]``."""

    def __init__(self, buffer: PersistentReplayBuffer, name: str, which: str | None = None) -> None:
        self._buffer, self._name, self._which = buffer, name, which

    def __getitem__(self, key: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        rows, envs = np.broadcast_arrays(*key)
        taken = self._buffer.store.take(self._buffer.times(rows), envs)
        return taken[self._name] if self._which is None else self._buffer.part(taken, self._name, self._which)
