"""Pictures that a model has pointed at, on the disk: they were paid for. A file each, the oldest go first."""

from __future__ import annotations

import logging
import zipfile
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from varl_common.errors import VarlError
from varl_common.files import atomic_write
from varl_common.image_codec import decode_image, encode_jpeg

from varl_robot_env.perception.localiser import Pointing
from varl_robot_env.types import Array

log = logging.getLogger(__name__)


class KeptPointings:
    """The newest ``most`` pointings, of which those in ``folder`` are the first; without a folder nothing is kept."""

    def __init__(self, names: Sequence[str], most: int, folder: Path | None = None) -> None:
        self._names, self._folder, self._most = set(names), folder, most
        self._next = 0
        self._all: deque[Pointing] = deque(maxlen=most)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for file in sorted(folder.glob("*.npz"))[-most:]:
                self._next = int(file.stem) + 1
                self._read(file)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Pointing]:
        return iter(self._all)

    def add(self, pointing: Pointing) -> None:
        """Keep a pointing; the oldest is forgotten."""
        self._all.append(pointing)
        if self._folder is None:
            return
        jpeg = np.frombuffer(encode_jpeg(pointing.rgb), np.uint8)
        pixels = {f"at_{name}": np.array([] if at is None else at) for name, at in pointing.pixels.items()}
        with atomic_write(self._folder / f"{self._next:08}.npz") as aside, aside.open("wb") as file:
            np.savez(file, jpeg=jpeg, **pixels)  # type: ignore[arg-type]
        (self._folder / f"{self._next - self._most:08}.npz").unlink(missing_ok=True)
        self._next += 1

    def _read(self, file: Path) -> None:
        try:
            with np.load(file, allow_pickle=False) as stored:
                told = {name.removeprefix("at_"): stored[name] for name in stored.files if name != "jpeg"}
                pixels: dict[str, Array | None] = {
                    name: pixel if pixel.size else None for name, pixel in told.items() if name in self._names
                }
                if all(
                    pixel is None or (pixel.shape == (2,) and np.isfinite(pixel).all()) for pixel in pixels.values()
                ):
                    self._all.append(Pointing(decode_image(stored["jpeg"].tobytes()), pixels))
        except (OSError, ValueError, KeyError, VarlError, zipfile.BadZipFile) as error:
            log.warning("%s is left out, it cannot be read: %s", file, error)
