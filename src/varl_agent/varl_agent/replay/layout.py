"""What a row of the replay is: the transition, who acted in it and the store's own mark; and its file, layout.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from varl_common.errors import VarlError

from varl_agent.replay.mapped_file import REMEDY

LAYOUT_FILE = "layout.json"
VERSION = 1  # of the files; a store of another one is refused


class Tag(IntEnum):
    """Who acted in a transition."""

    POLICY = 0
    HUMAN = 1
    DEMONSTRATION = 2
    PLAN = 4  # of the advisor's
    STAND_IN = 3  # another transition, a second time: in the place of one that there was not, or not to learn from


@dataclass(frozen=True)
class Layout:
    """What a store holds.

    Attributes:
        obs_dim, act_dim: numbers in an observation (without its images, flattened) and in an action.
        capacity: time rows that can be read at once; each has one transition of each environment.
        slack: time rows kept beyond these, for :meth:`ReplayStore.rewind`.
        n_envs: environments.
        frames: shape (height, width, channels) of each camera's uint8 frames.
    """

    obs_dim: int
    act_dim: int
    capacity: int
    slack: int = 20_000
    n_envs: int = 1
    frames: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def row(self) -> np.dtype:
        """A transition's type. ``done``: the episode ended; ``timeout``: by time alone, so its next state counts.

        ``mark`` is the store's own: which time row it is.
        """
        return np.dtype(
            [
                ("observation", "<f4", (self.obs_dim,)),
                ("action", "<f4", (self.act_dim,)),
                ("next_observation", "<f4", (self.obs_dim,)),
                ("reward", "<f4"),
                ("done", "<f4"),
                ("timeout", "<f4"),
                ("tag", "u1"),
                ("unused", "u1"),
                ("mark", "<u2"),
                *((f"{which}frame/{camera}", "<i8") for camera in self.frames for which in ("", "next_")),
            ]
        )

    @property
    def ring(self) -> int:
        """Time rows in the file: those that can be read, and one that is being written."""
        return self.capacity + self.slack + 1


def write_layout(path: Path, layout: Layout) -> None:
    """Write ``layout`` as JSON."""
    path.write_text(json.dumps({"version": VERSION, **asdict(layout)}))


def read_layout(path: Path) -> Layout:
    """Inverse of :func:`write_layout`.

    Raises:
        VarlError: the file is damaged, or of another version.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        version = found.pop("version")
        layout = Layout(**{**found, "frames": {name: tuple(shape) for name, shape in found["frames"].items()}})
        _ = layout.row, layout.ring
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise VarlError(f"{path} is damaged ({error}); {REMEDY}") from None
    if version != VERSION:
        raise VarlError(f"{path.parent} has version {version}, this is version {VERSION}; use that version")
    return layout
