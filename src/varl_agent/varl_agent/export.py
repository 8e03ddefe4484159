"""A replay as a Minari dataset (HDF5, https://minari.farama.org, format 0.5), and demonstrations into a replay.

Only numbers are read and written: HDF5 and JSON, never a pickle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from varl_common.errors import VarlError

from varl_agent.replay_buffer import PersistentReplayBuffer
from varl_agent.replay_store import Tag

MINARI_VERSION = "0.5.4"  # whose format this is
DATA, METADATA = "main_data.hdf5", "metadata.json"


def export_minari(buffer: PersistentReplayBuffer, folder: str | Path, dataset_id: str = "varl/replay-v0") -> int:
    """Write what ``buffer`` holds to a new folder, for ``minari.MinariDataset(folder)``, and leave it as it is.

    An episode that the replay's bounds cut ends, or begins, there. Returns how many episodes were written.

    Raises:
        VarlError: the folder is not empty, or h5py is missing.
    """
    h5py, folder = _h5py(), Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise VarlError(f"{folder} is not empty; name a new folder for the dataset")
    folder.mkdir(parents=True, exist_ok=True)
    steps = number = 0
    with h5py.File(folder / DATA, "w") as file:
        for number, rows in enumerate(_episodes(buffer), start=1):
            group = file.create_group(f"episode_{number - 1}")
            group.attrs.update({"id": number - 1, "total_steps": len(rows)})
            for key in buffer.observation_keys:
                values = [buffer.part(rows, key, ""), buffer.part(rows[-1:], key, "next_")]
                group[_observations(key)] = np.concatenate(values)
            group["actions"], group["rewards"] = rows["action"], rows["reward"]
            group["terminations"] = rows["done"] * (1 - rows["timeout"]) > 0
            truncated = rows["done"] * rows["timeout"] > 0
            truncated[-1] |= not rows["done"][-1]  # cut by the replay's end
            group["truncations"], group["infos/tag"] = truncated, rows["tag"]
            steps += len(rows)
    metadata = {
        "dataset_id": dataset_id,
        "minari_version": MINARI_VERSION,
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "total_episodes": number,
        "total_steps": steps,
        "observation_space": json.dumps(_space(buffer.observation_space)),
        "action_space": json.dumps(_space(buffer.action_space)),
    }
    (folder / METADATA).write_text(json.dumps(metadata))
    return number


def import_minari(folder: str | Path, buffer: PersistentReplayBuffer, tag: Tag = Tag.DEMONSTRATION) -> int:
    """Add the episodes of a Minari dataset to ``buffer``, tagged; returns how many transitions that were.

    Raises:
        VarlError: it is not such a dataset, its sizes are not the buffer's, or h5py is missing.
    """
    h5py, path = _h5py(), Path(folder) / DATA
    if buffer.n_envs != 1:
        raise VarlError(
            f"demonstrations go into a replay of one environment, not of {buffer.n_envs}; import them apart"
        )
    try:
        file = h5py.File(path, "r")
    except OSError:
        raise VarlError(f"{path} is not a Minari dataset's HDF5 file; name the folder that holds {DATA}") from None
    added = 0
    with file:
        for name in sorted(file, key=lambda name: int(name.rpartition("_")[2])):
            group = file[name]
            try:
                seen = {
                    key: group[f"observations/{key}" if key else "observations"][()] for key in buffer.observation_keys
                }
                actions, rewards, terminated, truncated = (
                    group[part][()] for part in ("actions", "rewards", "terminations", "truncations")
                )
            except (KeyError, AttributeError, TypeError):
                raise VarlError(f"{path}: {name} lacks a part or has other observations than the task's") from None
            for key, values in seen.items():
                _expect(path, name, values, (len(actions) + 1, *buffer.part_shape(key)))
            _expect(path, name, actions, (len(actions), buffer.action_dim))
            for t in range(len(actions)):
                before, after = ({key: value[t + i][None] for key, value in seen.items()} for i in (0, 1))
                done = np.array([terminated[t] or truncated[t]])
                info = {"TimeLimit.truncated": bool(truncated[t] and not terminated[t]), "tag": tag}
                if "" in seen:
                    before, after = before[""], after[""]
                buffer.add(before, after, actions[t], rewards[t], done, [info])
            added += len(actions)
    return added


def _episodes(buffer: PersistentReplayBuffer) -> Iterator[np.ndarray]:
    """The transitions of each episode of each environment, oldest first."""
    store = buffer.store
    times = np.arange(store.oldest, store.count)
    for env in range(buffer.n_envs):
        rows = store.take(times, env)
        ends = np.flatnonzero(rows["done"] > 0) + 1
        yield from (episode for episode in np.split(rows, ends) if len(episode))


def _observations(key: str) -> str:
    """Where an episode's group has a part of the observations."""
    return f"observations/{key}" if key else "observations"


def _expect(path: Path, name: str, values: np.ndarray, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise VarlError(f"{path}: {name} has an array of shape {values.shape} where the task's is {shape}")


def _space(space: spaces.Space) -> dict[str, Any]:
    """A space as Minari writes it."""
    if isinstance(space, spaces.Dict):
        return {"type": "Dict", "subspaces": {key: _space(part) for key, part in space.items()}}
    assert isinstance(space, spaces.Box)
    bounds = {"low": space.low.tolist(), "high": space.high.tolist()}
    return {"type": "Box", "dtype": str(space.dtype), "shape": list(space.shape), **bounds}


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise VarlError("datasets are HDF5 files; pip install h5py to read and write them") from None
    return h5py
