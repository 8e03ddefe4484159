"""Labelled moments in a file that only grows: whatever ends the process, every moment that was kept is there.

A folder holds ``moments.json`` (what a moment is) and ``moments`` (packed rows). A row is appended in one write with a
checksum of its own; a part of one at the end, which only a loss of power can leave, is cut off when the file is next
written to, and is not read before.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from varl_common.errors import VarlError
from varl_common.files import write_text_atomically

_LAYOUT, _ROWS = "moments.json", "moments"


class Label(IntEnum):
    """What a moment is. ``NEARLY`` looks like success and is none."""

    FAILURE = 0
    SUCCESS = 1
    NEARLY = 2


@dataclass(frozen=True)
class Layout:
    """What moments are of.

    Attributes:
        task: its name.
        cameras: their names, in order.
        side: pixels of a picture's sides.
        crops: what of each camera's picture is seen: left, top, right, bottom as shares.
    """

    task: str
    cameras: Sequence[str]
    side: int
    crops: Sequence[Sequence[float]]

    @property
    def row(self) -> np.dtype[Any]:
        """Of a moment: ``by_person``, ``pictures`` (cameras, side, side, 3), and where in which episode it was."""
        pictures = (len(self.cameras), self.side, self.side, 3)
        numbers = [("checksum", "u4"), ("episode", "u4"), ("step", "u4"), ("label", "u1"), ("by_person", "u1")]
        return np.dtype([*numbers, ("pictures", "u1", pictures)])

    def check(self, other: Layout, whose: str) -> None:
        """Raise VarlError where ``other``, which is of ``whose``, differs."""
        for name, mine in _plain(self).items():
            theirs = _plain(other)[name]
            if mine != theirs:
                raise VarlError(f"{name} is {mine} and of {whose} {theirs}; use what was made for the same views")


class Moments:
    """Moments in ``folder``, which is made; to write to by one process at a time.

    Raises:
        VarlError: it holds moments of something else, or cannot be written.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder, self.layout = folder, layout
        if (folder / _LAYOUT).exists():
            layout.check(read_layout(folder), f"the moments in {folder}")
        try:
            write_text_atomically(folder / _LAYOUT, json.dumps(_plain(layout), indent=1) + "\n")
            self._file = (folder / _ROWS).open("ab", buffering=0)
        except OSError as error:
            raise VarlError(f"{folder} cannot be written: {error.strerror}; name a folder that you may write") from None
        whole = self._file.tell() // layout.row.itemsize
        self._file.truncate(whole * layout.row.itemsize)
        rows = read(folder) if whole else np.zeros(0, layout.row)
        self.episode = int(rows["episode"].max()) + 1 if len(rows) else 0
        self.counts = dict.fromkeys(Label, 0) | {Label(kind): int((rows["label"] == kind).sum()) for kind in Label}

    def add(self, pictures: Mapping[str, NDArray[np.uint8]], label: Label, by_person: bool, step: int) -> None:
        """Keep a moment of the present episode: a picture of each camera.

        Raises:
            VarlError: the disk is full; the moment is not kept then, those before are.
        """
        row = np.zeros((), self.layout.row)
        row["pictures"] = np.stack([pictures[camera] for camera in self.layout.cameras])
        row["label"], row["by_person"], row["episode"], row["step"] = label, by_person, self.episode, step
        row["checksum"] = zlib.crc32(row.tobytes()[4:])
        end, problem = self._file.tell(), ""
        try:
            if self._file.write(row.tobytes()) != row.itemsize:
                problem = "the disk is full"
        except OSError as error:
            problem = str(error.strerror)
        if problem:
            self._file.truncate(end)
            raise VarlError(f"{self.folder}: {problem}; free some room (what is kept is safe)")
        self.counts[label] += 1

    def end_episode(self) -> None:
        """What follows is of another episode; what is kept survives a loss of power from now on."""
        os.fsync(self._file.fileno())
        self.episode += 1

    def close(self) -> None:
        self._file.close()


def read(folder: Path) -> NDArray[Any]:
    """The moments in ``folder``, (n,) of :attr:`Layout.row`, mapped: beside whoever may be adding some.

    Raises:
        VarlError: there are none, or one is damaged.
    """
    layout = read_layout(folder)
    size = (folder / _ROWS).stat().st_size if (folder / _ROWS).is_file() else 0
    if size < layout.row.itemsize:
        raise VarlError(
            f"{folder} holds no moments yet; varl collect, or a training with moments:={folder}, makes some"
        )
    rows = np.memmap(folder / _ROWS, layout.row, "r", shape=(size // layout.row.itemsize,))
    for number, row in enumerate(rows):
        if zlib.crc32(row.tobytes()[4:]) != row["checksum"]:
            raise VarlError(f"{folder}: moment {number} is damaged; bring the file back from a copy")
    return rows


def read_layout(folder: Path) -> Layout:
    """What the moments in ``folder`` are of.

    Raises:
        VarlError: there is no such folder, or its file says something else.
    """
    try:
        return Layout(**json.loads((folder / _LAYOUT).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise VarlError(f"there are no moments in {folder}; varl collect makes some") from None
    except (OSError, ValueError, TypeError) as error:
        raise VarlError(f"{folder / _LAYOUT} cannot be read ({error}); bring it back from a copy") from None


def _plain(layout: Layout) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(asdict(layout)))
    return values
