"""Checkpoints: a tree of tensors and plain values in one safetensors file, written whole, the last few kept.

A file is data only: safetensors holds the arrays, its metadata the rest of the tree as JSON. Nothing in it is
ever executed, so one that comes from elsewhere is safe to read.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from varl_common.errors import VarlError
from varl_common.files import atomic_write

from varl_agent.training.model_state import weight_not_finite

FORMAT = 3  # raised whenever an older file can no longer be continued
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Identity:
    """What a checkpoint belongs to. One of another task, robot or version is refused."""

    task: str
    robot: str
    observations: tuple[str, ...]
    actions: tuple[str, ...]
    format: int = FORMAT

    def refuse_other(self, other: Identity, path: Path) -> None:
        """Raise a VarlError that names the first difference to the checkpoint's identity ``other``."""
        for field, mine in asdict(self).items():
            theirs = getattr(other, field)
            if mine != theirs:
                remedy = f"start the graph with that {field}" if field in ("task", "robot") else "train anew"
                raise VarlError(f"{path} is of {field} {_short(theirs)}, but this is {field} {_short(mine)}; {remedy}")


def save(folder: Path, step: int, identity: Identity, state: dict[str, Any], keep: int) -> Path:
    """Write the checkpoint of ``step`` into ``folder`` and drop all but the newest ``keep``.

    Raises:
        VarlError: the disk is full or not writable; older checkpoints are untouched.
    """
    arrays: dict[str, np.ndarray] = {}
    tree = _pack(state, arrays, "")
    head = {"identity": asdict(identity), "step": step, "tree": tree, "crc": _checksum(arrays)}
    path = folder / f"step-{step:012d}{SUFFIX}"
    try:
        with atomic_write(path) as aside:
            save_file(arrays, aside, metadata={"varl": json.dumps(head)})
    except (OSError, SafetensorError) as error:
        raise VarlError(f"checkpoint {path} could not be written: {error}; free some space") from None
    for old in list_checkpoints(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in ``folder``, oldest first."""
    return sorted(folder.glob(f"step-*{SUFFIX}"))


def load(path: Path) -> tuple[Identity, dict[str, Any]]:
    """Read one checkpoint.

    Raises:
        VarlError: it is damaged, or of another format.
    """
    try:
        with safe_open(path, framework="np") as file:
            head = json.loads((file.metadata() or {})["varl"])
            found = head["identity"]
            if found["format"] != FORMAT:
                theirs = f"{path} is a checkpoint of format {found['format']}, expected {FORMAT}"
                raise VarlError(f"{theirs}; train anew with this version")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if head["crc"] != _checksum(arrays):
            raise VarlError(f"{path} is damaged: its checksum differs; use an older checkpoint")
        names = tuple(found["observations"]), tuple(found["actions"])
        return Identity(found["task"], found["robot"], *names), _unpack(head["tree"], arrays)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise VarlError(f"{path} is not a checkpoint, or is damaged ({error}); use an older one") from None


def load_newest(folder: Path, identity: Identity) -> tuple[Path, dict[str, Any]]:
    """The newest checkpoint of ``folder`` that is whole and whose weights are finite, and its state.

    Raises:
        VarlError: there is none, or it belongs to something else than ``identity``.
    """
    damaged = []
    for path in reversed(list_checkpoints(folder)):
        try:
            found, state = load(path)
            if "model" in state and (words := weight_not_finite(state["model"])):
                raise VarlError(f"{path} is of a policy that diverged: {words}; use an older checkpoint")
        except VarlError as error:
            damaged.append(str(error))
            continue
        identity.refuse_other(found, path)
        return path, state
    if damaged:
        raise VarlError(f"no checkpoint in {folder} can be used: {damaged[0]}")
    raise VarlError(f"no checkpoint in {folder}; train first, or name the run_dir of a run that has one")


def _short(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else repr(value)


def _checksum(arrays: dict[str, np.ndarray]) -> int:
    crc = 0
    for name in sorted(arrays):
        crc = zlib.crc32(arrays[name].tobytes(), crc)
    return crc


def _pack(value: Any, arrays: dict[str, np.ndarray], name: str) -> Any:
    """``value`` as JSON, its arrays moved to ``arrays`` under the names of their places in the tree."""
    if isinstance(value, torch.Tensor):
        arrays[name] = np.ascontiguousarray(value.detach().cpu().numpy()).reshape(value.shape)
        return {"tensor": name}
    if isinstance(value, np.ndarray):
        arrays[name] = np.ascontiguousarray(value).reshape(value.shape)
        return {"array": name}
    if isinstance(value, dict):
        return {"dict": [[key, _pack(item, arrays, f"{name}/{key}")] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_pack(item, arrays, f"{name}/{i}") for i, item in enumerate(value)]}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__} (at {name})")


def _unpack(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    if not isinstance(node, dict):
        return node
    (kind, content), *_ = node.items()
    if kind == "tensor":
        return torch.from_numpy(arrays[content])
    if kind == "array":
        return arrays[content]
    if kind == "dict":
        return {key: _unpack(item, arrays) for key, item in content}
    items = [_unpack(item, arrays) for item in content]
    return tuple(items) if kind == "tuple" else items
