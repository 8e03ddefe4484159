"""Labelled states on disk, so that the same ones judge several advisors: an .npz and the frames' own files per task."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from varl_common.errors import VarlError
from varl_common.files import atomic_write
from varl_common.frame import Frame

from varl_vlm_advisor.evaluation.labelled_states import LabelledState, collect, restore
from varl_vlm_advisor.evaluation.worlds import World
from varl_vlm_advisor.types import State

_SAME = 1e-3
"""What a state that is restored may differ by, in its own units: arithmetic differs between machines."""


def load_or_make(world: World, count: int, seed: int, folder: Path) -> list[LabelledState]:
    """The first ``count`` labelled states of ``folder``; where it has none of this task and seed, they are made.

    Raises:
        VarlError: it has fewer, they are damaged, or this simulator does not lead to them.
    """
    name = folder / f"{world.env.task}-s{seed}"
    if not (name / "states.npz").exists():
        made = collect(world, count, seed)
        save(made, name)
        return made
    found = load(name)
    if len(found) < count:
        raise VarlError(f"{name} holds {len(found)} states, {count} are wanted; ask for fewer, or remove it")
    first = found[0]
    if not np.allclose(restore(world, first), first.transition.state, atol=_SAME):
        raise VarlError(f"{name} was made with another version of the simulator or the task; remove it")
    return found[:count]


def save(made: list[LabelledState], folder: Path) -> None:
    """Write ``made``, whose transitions have one frame each, to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = [example.transition.frames[0] for example in made]
    for number, frame in enumerate(frames):
        (folder / f"{number:04}.jpg").write_bytes(frame.jpeg)
        if frame.depth:
            (folder / f"{number:04}-depth.png").write_bytes(frame.depth)
    arrays: dict[str, Any] = {
        **{name: np.stack([getattr(s.transition, name) for s in made]) for name in ("state", "action", "next_state")},
        "reward": np.array([example.transition.reward for example in made]),
        "expert": np.stack([example.expert for example in made]),
        "seed": np.array([example.seed for example in made]),
        "history": np.concatenate([example.history for example in made]),
        "steps": np.array([len(example.history) for example in made]),
        "camera": np.array([frame.camera for frame in frames]),
        "k": np.array([frame.k for frame in frames]),
        "camera_pose": np.array([frame.camera_pose for frame in frames]),
    }
    # Last, and whole: its name decides whether the folder counts.
    with atomic_write(folder / "states.npz") as aside, aside.open("wb") as file:
        np.savez(file, **arrays)


def load(folder: Path) -> list[LabelledState]:
    """What :func:`save` wrote.

    Raises:
        VarlError: it is damaged.
    """
    try:
        with np.load(folder / "states.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        histories = np.split(arrays["history"], np.cumsum(arrays["steps"])[:-1])
        return [_example(arrays, number, history, folder) for number, history in enumerate(histories)]
    except (OSError, ValueError, KeyError, IndexError, BadZipFile) as error:
        raise VarlError(f"{folder} holds no whole set of labelled states ({error}); remove it") from None


def _example(arrays: dict[str, np.ndarray], number: int, history: np.ndarray, folder: Path) -> LabelledState:
    row = {name: values[number] for name, values in arrays.items() if name != "history"}
    depth = folder / f"{number:04}-depth.png"
    frame = Frame(
        str(row["camera"]),
        (folder / f"{number:04}.jpg").read_bytes(),
        depth.read_bytes() if depth.exists() else b"",
        row["k"],
        row["camera_pose"],
    )
    transition = State(number, row["state"], row["action"], row["next_state"], float(row["reward"]), (frame,))
    return LabelledState(transition, row["expert"], int(row["seed"]), history)
