"""Transitions in memory-mapped files that survive the death of the process at any instant.

A store is a folder: ``layout.json`` (what a row is), ``header`` (how many rows are committed), ``rows`` (a ring of
packed rows) and one file of frames for each camera. A row is written first and counted afterwards, by one aligned
8-byte store; the kernel keeps mapped pages when a process dies, so after a kill -9 every counted row is whole and no
other is seen.
``flush`` also makes the count safe against a loss of power: a copy of it, with a checksum, is written to the disk after
the rows that it counts, and is the one believed when the machine has been started anew since. Each row is marked by
its number: a count whose newest row was never written is refused.

The ring is longer than the capacity by ``slack``: the row being written is never one that can be read, and a checkpoint
finds its rows again after newer ones were added. Disk space is claimed ahead of the rows, so that a full disk is an
error at :meth:`ReplayStore.append` that leaves the store as it was, not a crash in the middle of a write.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import mmap
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from varl_common.errors import VarlError
from varl_common.files import atomic_write

from varl_agent.replay.layout import LAYOUT_FILE, Layout, read_layout, write_layout
from varl_agent.replay.mapped_file import DAMAGED, MappedFile

HEADER = mmap.PAGESIZE
COUNT, DURABLE, BOOT = 0, (64, 128), 192  # places in the header, in bytes
_DURABLE = struct.Struct("<QQI")  # sequence number, count, checksum of the two
MOST = 1 << 48  # rows; at one a microsecond that is nine years
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # of Linux: new at each start of the machine


class ReplayStore:
    """Appends, reads and rewinds time rows, numbered from 0 on; the module's docstring says what is safe.

    Args:
        folder: where it is, or is to be.
        layout: what it holds; None: whatever is there.
        writable: False: only read, beside a process that may be writing.

    Raises:
        VarlError: it has another layout, another process is writing to it, it is damaged or missing (``layout`` None),
            or it cannot be made. A damaged store is left as it is.
    """

    def __init__(self, folder: str | Path, layout: Layout | None = None, writable: bool = True) -> None:
        self.folder, self.writable = Path(folder), writable
        if self._begun() and not (self.folder / "header").exists():  # in this order, as it is made before any row
            raise self._damaged("is missing beside rows")
        self.layout = self._agreed_layout(layout)
        fresh = writable and not (self.folder / "header").exists()
        size = self.layout.ring * self.layout.n_envs
        self._rows = MappedFile(self.folder / "rows", size * self.layout.row.itemsize, writable, fresh)
        # An episode of a single step needs two frames a row, so that many always suffice.
        self._frames = {
            camera: MappedFile(self.folder / _file_of(camera), 2 * size * math.prod(shape), writable, fresh)
            for camera, shape in self.layout.frames.items()
        }
        if fresh:  # a store with a header is complete
            with self._new_file("header") as aside:
                MappedFile(aside, HEADER, writable, True).claim(HEADER)
        self._header = MappedFile(self.folder / "header", HEADER, writable, False)
        self.rows = np.frombuffer(self._rows.memory, self.layout.row)
        self._images = {
            camera: np.frombuffer(self._frames[camera].memory, np.uint8).reshape(-1, *shape)
            for camera, shape in self.layout.frames.items()
        }
        self._count = np.frombuffer(self._header.memory, np.uint64, 2, COUNT)  # now, and at the most so far
        self._sequence, self._flushed = 0, 0
        if writable:
            self._lock()
        count = self._recovered()
        if writable:
            self._count[0] = count
            boot = _boot()
            self._header.memory[BOOT : BOOT + len(boot)] = boot
            self._write_durable()
        self._newest = self._newest_frames()

    # --- reading ------------------------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """Time rows committed since the store was made."""
        return int(self._count[0])

    @property
    def oldest(self) -> int:
        """The first time row that can still be read."""
        return max(0, self.count - self.layout.capacity)

    def take(self, times: np.ndarray, envs: np.ndarray | int = 0) -> np.ndarray:
        """Copies of the transitions of these time rows (not checked against ``oldest``) and environments, (n,)."""
        places = times % self.layout.ring
        if self.layout.n_envs > 1:
            places = places * self.layout.n_envs + envs
        return self.rows.take(places, mode="clip")

    def frames(self, camera: str, numbers: np.ndarray) -> np.ndarray:
        """Copies of the frames of these numbers, as rows hold them: (n, height, width, channels) uint8."""
        return self._images[camera].take(numbers % len(self._images[camera]), axis=0, mode="clip")

    # --- writing ------------------------------------------------------------------------------------------------------

    def append(self, row: np.ndarray, frames: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None) -> None:
        """Commit one time row, (n_envs,) of ``layout.row``.

        ``frames``: of each camera those before and after the transitions, (n_envs, height, width, channels) each. One
        that is the frame after the environment's last transition is not stored again.

        Raises:
            VarlError: the disk is full, or a file may not grow; nothing has changed then.
        """
        count, n = self.count, self.layout.n_envs
        start = count % self.layout.ring * n
        self._rows.claim((start + n) * self.layout.row.itemsize)
        newest = dict(self._newest)
        for camera, (before, after) in (frames or {}).items():
            for env in range(n):
                number = self._continued(camera, count, env, before[env])
                if number is None:
                    number = self._write_frame(camera, before[env], newest)
                row[f"frame/{camera}"][env] = number
                row[f"next_frame/{camera}"][env] = self._write_frame(camera, after[env], newest)
        row["mark"] = _mark(count)
        self.rows[start : start + n] = row
        self._newest = newest
        self._count[1] = max(self._count[1], count + 1)
        self._count[0] = count + 1

    def rewind(self, count: int) -> None:
        """Forget the time rows from number ``count`` on, as if they had never been.

        Raises:
            VarlError: there are fewer, or rows that could be read then have been overwritten since.
        """
        if count > self.count:
            raise VarlError(f"{self.folder} holds {self.count} rows, fewer than the {count} to go back to")
        most = int(self._count[1])
        if count and most > self.layout.ring and most - count > self.layout.slack:
            raise VarlError(
                f"{self.folder}: {most - count} rows were added since row {count} and only {self.layout.slack} are "
                "kept beyond the capacity; save more often or give the replay more slack"
            )
        self._flushed = min(self._flushed, count)
        self._write_durable()  # first: no fewer rows ever count than are said to be on the disk
        self._count[0] = count
        self._newest = self._newest_frames()

    def overwrite(self, times: np.ndarray, envs: np.ndarray | int, rows: np.ndarray, hidden: bool) -> None:
        """Put ``rows`` (m,) in the places of these time rows and environments, which keep their marks.

        ``hidden``: what is stored from the first of them on does not count meanwhile, so that no row that counts is
        half of each where the process dies.
        """
        places, first, count = times % self.layout.ring * self.layout.n_envs + envs, int(times.min()), self.count
        rows["mark"] = self.rows["mark"][places]
        if hidden:
            self._count[0] = first
        self.rows[places] = rows
        self._flushed = min(self._flushed, first)
        self._count[0] = count

    def flush(self) -> None:
        """Bring the rows since the last flush, then their count, to the disk."""
        last, step = self.count, self.layout.n_envs * self.layout.row.itemsize
        first = max(self._flushed, last - self.layout.ring + 1)  # those before are overwritten
        if last > first:
            self._rows.flush(first * step, last * step)
            ends = self.take(np.array([[first], [last - 1]]), np.arange(self.layout.n_envs))
            for camera, images in self._images.items():
                begin, end = int(ends[f"frame/{camera}"].min()), int(ends[f"next_frame/{camera}"].max()) + 1
                self._frames[camera].flush(begin * images[0].nbytes, end * images[0].nbytes)
        self._flushed = last
        self._write_durable()

    def close(self) -> None:
        """Flush, and let other processes write. Copies that were taken stay valid; do not use the store again."""
        if self.writable:
            self.flush()
            fcntl.flock(self._header.file, fcntl.LOCK_UN)
        for mapped in (self._header, self._rows, *self._frames.values()):
            mapped.file.close()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._header.file.closed

    # --- files --------------------------------------------------------------------------------------------------------

    def _agreed_layout(self, layout: Layout | None) -> Layout:
        """The layout of the existing store; for a new one, ``layout``, which is written."""
        if not (self.folder / LAYOUT_FILE).exists():
            if layout is None or not self.writable:
                raise VarlError(f"{self.folder} is not a replay store; name the folder that holds its {LAYOUT_FILE}")
            with self._new_file(LAYOUT_FILE) as aside:
                write_layout(aside, layout)
        there = read_layout(self.folder / LAYOUT_FILE)
        if layout is not None and layout != there:
            names = [name for name in asdict(layout) if getattr(layout, name) != getattr(there, name)]
            wrong = ", ".join(f"{name} {getattr(there, name)} instead of {getattr(layout, name)}" for name in names)
            raise VarlError(f"{self.folder} holds a replay with {wrong}; name another folder or its own settings")
        return there

    def _lock(self) -> None:
        try:
            fcntl.flock(self._header.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise VarlError(f"{self.folder} is being written by another process; end that one first") from None

    @contextlib.contextmanager
    def _new_file(self, name: str) -> Iterator[Path]:
        """``atomic_write`` of a file in the store's folder, which is made if need be."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.folder / name) as aside:
                yield aside
        except OSError as error:
            remedy = "name a folder where you may write, on a disk with room"
            raise VarlError(f"{self.folder} cannot be made ({error.strerror}); {remedy}") from None

    def _begun(self) -> bool:
        """Whether rows were ever written: a file without any holds only zeros at its beginning."""
        try:
            with (self.folder / "rows").open("rb") as file:
                return bool(file.read(1 << 20).strip(b"\0"))
        except OSError:
            return False

    def _last_flush(self) -> tuple[int, int]:
        """Sequence number and count of the newest undamaged copy on the disk; zeros if there is none."""
        slots = [_DURABLE.unpack_from(self._header.memory, place) for place in DURABLE]
        return max([(number, n) for number, n, check in slots if check == _checksum(number, n)], default=(0, 0))

    def _recovered(self) -> int:
        """How many rows are valid: those counted or, if the machine was restarted since, those flushed.

        Raises:
            VarlError: there can never have been so many, or so few.
        """
        begun = self._begun()  # all in this order: another process may be appending
        self._sequence, self._flushed = self._last_flush()
        count, most, flushed = int(self._count[0]), int(self._count[1]), self._flushed
        boot = _boot()
        restarted = bytes(self._header.memory[BOOT : BOOT + len(boot)]) != boot
        if begun and not self._sequence and (restarted or not count):  # the making of a store ends with a flush
            raise self._damaged("has no count that is whole")
        if count > most or most < flushed or most > MOST:
            raise self._damaged(f"counts {count} rows of {most}, {flushed} of them flushed")
        if self.writable and (restarted or count < flushed):
            count = flushed
        elif count < flushed and self._last_flush() == (self._sequence, flushed):  # else it is just being rewound
            raise self._damaged(f"counts {count} rows where {flushed} were flushed")
        if count > flushed:
            newest = self.take(np.full(self.layout.n_envs, count - 1), np.arange(self.layout.n_envs))
            marked = (newest["mark"] == _mark(count - 1)).all()
            unmarked = not newest["mark"].any() and any(newest.tobytes())  # by a version that did not mark rows
            if not (marked or unmarked):
                raise self._damaged(f"counts {count} rows, of which the last was never written")
        return count

    def _damaged(self, how: str) -> VarlError:
        return VarlError(f"{self.folder}/header {how}: {DAMAGED}")

    def _write_durable(self) -> None:
        """Write the count of flushed rows to the disk, over the older of its two copies."""
        self._sequence += 1
        place, check = DURABLE[self._sequence % 2], _checksum(self._sequence, self._flushed)
        _DURABLE.pack_into(self._header.memory, place, self._sequence, self._flushed, check)
        self._header.flush(0, HEADER)

    # --- frames -------------------------------------------------------------------------------------------------------

    def _write_frame(self, camera: str, frame: np.ndarray, newest: dict[str, int]) -> int:
        """Store a frame after the newest one; returns its number."""
        images, number = self._images[camera], newest[camera]
        place = number % len(images)
        self._frames[camera].claim((place + 1) * images[0].nbytes)
        images[place] = frame
        newest[camera] = number + 1
        return number

    def _continued(self, camera: str, count: int, env: int, frame: np.ndarray) -> int | None:
        """The number of the environment's last frame if it equals ``frame`` and the episode goes on, else None."""
        if count == 0:
            return None
        last = self.rows[(count - 1) % self.layout.ring * self.layout.n_envs + env]
        number = int(last[f"next_frame/{camera}"])
        images = self._images[camera]
        same = not last["done"] and np.array_equal(images[number % len(images)], frame)
        return number if same else None

    def _newest_frames(self) -> dict[str, int]:
        """The number that each camera's next frame is to have."""
        if self.count == 0:
            return dict.fromkeys(self.layout.frames, 0)
        last = self.take(np.full(self.layout.n_envs, self.count - 1), np.arange(self.layout.n_envs))
        return {camera: int(last[f"next_frame/{camera}"].max()) + 1 for camera in self.layout.frames}


def _file_of(camera: str) -> str:
    return f"{camera.replace('/', '-')}.frames"


def _mark(time: int) -> int:
    """A number that differs from that of the row stored here before, and from 0, which marks an empty place."""
    return time % 0xFFFF + 1


def _boot() -> bytes:
    return _BOOT_ID.read_bytes().strip()


def _checksum(sequence: int, count: int) -> int:
    return zlib.crc32(struct.pack("<QQ", sequence, count))
