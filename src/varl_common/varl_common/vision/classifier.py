"""Whether a task is solved, by its cameras' pictures: what ``varl train-classifier`` leaves in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from varl_common.errors import VarlError
from varl_common.files import atomic_write, write_text_atomically
from varl_common.vision.encoder import FrozenEncoder
from varl_common.vision.tower import Tower

ABOUT, WEIGHTS = "classifier.json", "heads.safetensors"
_PLACES, _SEEN, _WIDTH = 4, 16, 48  # places that a head looks at, channels of what it sees there, width of its verdict


class Head(nn.Module):
    """Looks at some places of each camera's picture, of its own choice, and judges by where they are and what is there.

    Whether one thing is at another is a matter of both places, which no pattern of a few patches shows: a head that
    looks for such patterns misses nearly twice as many successes.
    """

    def __init__(self, channels: int, cameras: int) -> None:
        super().__init__()
        self._cameras = cameras
        self.look = nn.Conv2d(channels + 2, _PLACES * cameras, 1)
        self.see = nn.Conv2d(channels + 2, _SEEN, 1)
        seen = cameras * _PLACES * (_SEEN + 2)
        self.judge = nn.Sequential(nn.Linear(seen, _WIDTH), nn.GELU(), nn.Linear(_WIDTH, 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Logits of success (n,) of ``maps`` (n, cameras, channels + 2, height, width); the last two: where."""
        n, cameras = maps.shape[:2]
        flat = maps.flatten(0, 1)
        looks = self.look(flat).view(n, cameras, self._cameras, _PLACES, -1)
        own = torch.stack([looks[:, camera, camera] for camera in range(cameras)], 1).softmax(-1)
        seen = torch.cat([self.see(flat).view(n, cameras, _SEEN, -1), maps[:, :, -2:].flatten(3)], 2)
        there = torch.einsum("ncpx,ncsx->ncps", own, seen)
        logits: torch.Tensor = self.judge(there.flatten(1))[:, 0]
        return logits


class Heads(nn.Module):
    """Several heads, each taught without some of the episodes: their mean is calmer than one.

    Attributes:
        mean, scale: (channels,) of the maps that they were taught by.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, channels: int, cameras: int, count: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.members = nn.ModuleList(Head(channels, cameras) for _ in range(count))

    def scaled(self, maps: torch.Tensor) -> torch.Tensor:
        """``maps`` (n, cameras, channels, height, width) of one size, with where each place is."""
        scaled = (maps - self.mean[:, None, None]) / self.scale[:, None, None]
        n, cameras, _, height, width = maps.shape
        rows, columns = torch.linspace(-1.0, 1.0, height), torch.linspace(-1.0, 1.0, width)
        where = torch.stack(torch.meshgrid(columns, rows, indexing="xy")).expand(n, cameras, 2, height, width)
        return torch.cat([scaled, where], 2)

    def certainty(self, maps: torch.Tensor) -> torch.Tensor:
        """(n,) in 0..1."""
        scaled = self.scaled(maps)
        return torch.sigmoid(torch.stack([member(scaled) for member in self.members]).mean(0))


class SuccessClassifier:
    """A classifier in ``folder``.

    Attributes:
        task, cameras, side, crops: of what it was taught, as moments have them.
        threshold: of its certainty, from which on it is precise.

    Raises:
        VarlError: there is none, it is damaged, or its tower is not to be had.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        try:
            about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            self.task, self.side = str(about["task"]), int(about["side"])
            self.cameras: list[str] = list(about["cameras"])
            self.crops: list[list[float]] = [list(crop) for crop in about["crops"]]
            self.threshold = float(about["threshold"])
            tower, members = Tower(about["tower"], int(about["layers"])), int(about["members"])
            if tower.fingerprint != about["fingerprint"]:
                raise VarlError(f"{folder} was taught with other weights of {about['tower']}; train it again")
            self._encoder = FrozenEncoder(tower, self.cameras, self.side, "maps")
            self._heads = Heads(self._encoder.shape[0], len(self.cameras), members)
            self._heads.load_state_dict(load_file(folder / WEIGHTS))
        except FileNotFoundError as error:
            raise VarlError(f"{error.filename} is missing; varl train-classifier writes such a folder") from None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise VarlError(f"the classifier in {folder} cannot be read ({error}); train it again") from None

    def certainty(self, pictures: Mapping[str, NDArray[np.uint8]]) -> float:
        """How sure it is, in 0..1, that ``pictures`` (side, side, 3) of the cameras show success."""
        with torch.inference_mode():
            maps = torch.from_numpy(self._encoder(pictures)).view(1, len(self.cameras), *self._encoder.shape)
            return float(self._heads.certainty(maps)[0])


def write(folder: Path, heads: Heads, about: Mapping[str, Any]) -> None:
    """Write a classifier, which others can read by then or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / WEIGHTS) as aside:
        save_file(heads.state_dict(), aside)
    write_text_atomically(folder / ABOUT, json.dumps(dict(about), indent=1) + "\n")
