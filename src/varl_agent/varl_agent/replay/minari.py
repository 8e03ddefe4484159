"""A replay as a Minari dataset (HDF5, https://minari.farama.org, format 0.5), and demonstrations into a replay.

Only numbers are read and written: HDF5 and JSON, never a pickle.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from varl_common.errors import VarlError

from varl_agent.replay.actions import scale_actions, unscale_actions
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.layout import Tag
from varl_agent.replay.success_index import SuccessIndex
from varl_agent.replay.whole_episodes import whole_episodes

MINARI_VERSION = "0.5.4"  # whose format this is
ROUNDING = 1e-5  # of float32 actions that were scaled there and back
DATA, METADATA = "main_data.hdf5", "metadata.json"
_PARTS = ("actions", "rewards", "terminations", "truncations")  # of an episode, beside its observations


def export_minari(buffer: PersistentReplayBuffer, folder: str | Path, dataset_id: str = "varl/replay-v0") -> int:
    """Write what ``buffer`` holds to a new folder, for ``minari.MinariDataset(folder)``, and leave it as it is.

    Actions are written in the environment's units. An episode that was broken off, or of which the replay holds a part,
    ends, or begins, there. Returns how many episodes were written.

    Raises:
        VarlError: the folder is not empty, or h5py is missing.
    """
    h5py, folder = _h5py(), Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise VarlError(f"{folder} is not empty; name a new folder for the dataset")
    folder.mkdir(parents=True, exist_ok=True)
    steps = number = 0
    with h5py.File(folder / DATA, "w") as file:
        for number, rows in enumerate(whole_episodes(buffer.store), start=1):
            group = file.create_group(f"episode_{number - 1}")
            group.attrs.update({"id": number - 1, "total_steps": len(rows)})
            for key in buffer.observation_keys:
                values = [buffer.part(rows, key, ""), buffer.part(rows[-1:], key, "next_")]
                group[_observations(key)] = np.concatenate(values).astype(buffer.parts[key].dtype)
            group["actions"] = unscale_actions(buffer.action_space, rows["action"])
            group["rewards"] = rows["reward"]
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


def import_minari(
    folder: str | Path,
    buffer: PersistentReplayBuffer,
    tag: Tag = Tag.DEMONSTRATION,
    successes: SuccessIndex | None = None,
) -> int:
    """Add the episodes of a Minari dataset to ``buffer``, tagged; returns how many transitions that were.

    ``successes``: the index of the buffer's successes; episodes that the task itself ended count as such.

    Raises:
        VarlError: it is not such a dataset, its sizes are not the buffer's, it holds what is no finite number or
            actions that are none of the environment's, h5py is missing, or the disk is full. Nothing was added then.
    """
    h5py, path = _h5py(), Path(folder) / DATA
    if buffer.n_envs != 1:
        raise VarlError(
            f"demonstrations go into a replay of one environment, not of {buffer.n_envs}; import them apart"
        )
    if successes is None:
        successes = SuccessIndex(buffer.buffer_size, buffer.n_envs)
    added, count, index = 0, buffer.store.count, successes.state_dict()
    try:
        with h5py.File(path, "r") as file:
            names = _names(path, file)
            for name in names:  # all of them before the first is added
                _read(path, name, file, buffer)
            for name in names:
                added += add_episode(buffer, successes, *_read(path, name, file, buffer), tag)
        count += added
    except (OSError, RuntimeError, MemoryError):  # h5py's, of a file that is missing, something else or broken
        remedy = f"name the folder that holds a whole {DATA}"
        raise VarlError(f"{path} is not a Minari dataset's HDF5 file, or is broken; {remedy}") from None
    finally:
        if buffer.store.count != count:  # the disk was full, the file broken, or a person ended it
            buffer.load_state_dict({"count": count})
            successes.load_state_dict(index)
    return added


def _names(path: Path, file: Any) -> list[str]:
    """The names of a dataset's episodes, in their order.

    Raises:
        VarlError: there are no episodes, or the file holds something else.
    """
    for name in file:
        if not re.fullmatch("episode_[0-9]+", str(name)):
            raise VarlError(f"{path} holds {name!r}, which is no episode; take it out, or name the folder of a dataset")
    if not len(file):
        raise VarlError(f"{path} holds no episode; name the folder of another dataset")
    return sorted(file, key=lambda name: int(name.rpartition("_")[2]))


def _read(path: Path, name: str, file: Any, buffer: PersistentReplayBuffer) -> tuple[dict[str, Any], dict[str, Any]]:
    """An episode's observations by part, and its ``_PARTS`` by name, as ``buffer`` takes them.

    Raises:
        VarlError: they do not fit the buffer; the message says how.
    """
    try:
        group = file[name]
        seen = {key: group[_observations(key)][()] for key in buffer.observation_keys}
        parts = {part: group[part][()] for part in _PARTS}
        n = len(parts["actions"])
    except (KeyError, AttributeError, TypeError, ValueError):
        raise VarlError(f"{path}: {name} lacks a part or has other observations than the task's") from None
    for key, values in seen.items():
        _expect(path, name, values, (n + 1, *(buffer.parts[key].shape or ())))
    _expect(path, name, parts["actions"], (n, *(buffer.action_space.shape or ())))
    for part in _PARTS[1:]:
        _expect(path, name, parts[part], (n,))
    actions = scale_actions(buffer.action_space, parts["actions"])
    beyond = np.argwhere(np.abs(actions) > 1 + ROUNDING)
    if len(beyond):
        step, axis = beyond[0]
        low, high = (bound.ravel()[axis] for bound in (buffer.action_space.low, buffer.action_space.high))
        value = parts["actions"].reshape(n, -1)[step, axis]
        raise VarlError(
            f"{path}: {name} has an action of {value:g} on axis {axis}, beyond {low:g}..{high:g} of the task's; give "
            "the actions in the units of this task's environment"
        )
    return seen, parts | {"actions": np.clip(actions, -1, 1)}


def add_episode(
    buffer: PersistentReplayBuffer, successes: SuccessIndex, seen: dict[str, Any], parts: dict[str, Any], tag: Tag
) -> int:
    """Append an episode of n steps; returns n.

    ``seen``: (n + 1, ...) observations by part; ``parts``: (n, ...) actions (in [-1, 1]), rewards, terminations and
    truncations. One that the task itself ended counts as a success.
    """
    actions, rewards, terminated, truncated = (parts[part] for part in _PARTS)
    for t in range(len(actions)):
        before, after = ({key: value[t + i][None] for key, value in seen.items()} for i in (0, 1))
        done = np.array([terminated[t] or truncated[t]])
        cut = bool(truncated[t] and not terminated[t])
        info = {"TimeLimit.truncated": cut, "is_success": bool(terminated[t]), "tag": tag}
        if "" in seen:
            before, after = before[""], after[""]
        buffer.add(before, after, actions[t], rewards[t], done, [info])
        successes.add(done, [info])
    successes.restart()
    return len(actions)


def _observations(key: str) -> str:
    """The name of a part of the observations within an episode's group."""
    return f"observations/{key}" if key else "observations"


def _expect(path: Path, name: str, values: Any, shape: tuple[int, ...]) -> None:
    if np.shape(values) != shape:
        raise VarlError(f"{path}: {name} has an array of shape {np.shape(values)} where the task's is {shape}")
    with np.errstate(over="ignore"):  # as float32, which is how a replay keeps them
        real = values.dtype.kind == "f" and np.isfinite(values.astype(np.float32)).all()
    if not real and values.dtype.kind not in "iub":
        raise VarlError(f"{path}: {name} holds what is not a finite number; leave that episode out")


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
