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
_HIDDEN = 32


class Heads(nn.Module):
    """Several small networks that were taught from other starts: their mean is calmer than each."""

    def __init__(self, features: int, count: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.members = nn.ModuleList(
            nn.Sequential(nn.Linear(features, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, 1)) for _ in range(count)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of success (members, n) of ``features`` (n, size)."""
        scaled = (features - self.mean) / self.scale
        return torch.stack([member(scaled)[:, 0] for member in self.members])

    def certainty(self, features: torch.Tensor) -> torch.Tensor:
        """(n,) in 0..1."""
        return torch.sigmoid(self(features).mean(0))


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
            self._encoder = FrozenEncoder(tower, self.cameras, self.side)
            self._heads = Heads(self._encoder.size, members)
            self._heads.load_state_dict(load_file(folder / WEIGHTS))
        except FileNotFoundError as error:
            raise VarlError(f"{error.filename} is missing; varl train-classifier writes such a folder") from None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise VarlError(f"the classifier in {folder} cannot be read ({error}); train it again") from None

    def certainty(self, pictures: Mapping[str, NDArray[np.uint8]]) -> float:
        """How sure it is, in 0..1, that ``pictures`` (side, side, 3) of the cameras show success."""
        with torch.inference_mode():
            return float(self._heads.certainty(torch.from_numpy(self._encoder(pictures))[None])[0])


def write(folder: Path, heads: Heads, about: Mapping[str, Any]) -> None:
    """Write a classifier, which others can read by then or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / WEIGHTS) as aside:
        save_file(heads.state_dict(), aside)
    write_text_atomically(folder / ABOUT, json.dumps(dict(about), indent=1) + "\n")
