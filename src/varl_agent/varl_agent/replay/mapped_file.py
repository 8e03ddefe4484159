"""A file of fixed length in memory, whose disk space is claimed as it is used."""

from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path

from varl_common.errors import VarlError

_SMALLER = "or make a smaller replay in another folder"
_LARGER = f"allow larger files (ulimit -f), {_SMALLER}"
REMEDY = "bring it back from a copy, or remove the folder to start a new replay"
DAMAGED = f"the replay is damaged; {REMEDY}"
CLAIM = 16 << 20  # bytes of disk space claimed at a time


class MappedFile:
    """``memory`` is the file. ``create``: make it, or make it anew where it is incomplete; else it must exist.

    Raises:
        VarlError: it is missing or of another length, cannot be made, or the memory cannot be had.
    """

    def __init__(self, path: Path, size: int, writable: bool, create: bool) -> None:
        self.path, self.size, self._claimed = path, size, 0
        try:
            self.file = path.open("w+b" if create else "r+b" if writable else "rb", buffering=0)
            if create:
                self.file.truncate(size)
        except OSError as error:
            if create:
                raise VarlError(
                    f"{path} of {size} bytes cannot be made ({error.strerror}); use a disk with room, {_LARGER}"
                ) from None
            remedy = "the replay is damaged or not yours; bring it back from a copy, or name another folder"
            raise VarlError(f"{path} cannot be opened ({error.strerror}); {remedy}") from None
        there = os.fstat(self.file.fileno()).st_size
        if there != size:
            raise VarlError(f"{path} has {there} bytes instead of {size}; {DAMAGED}")
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        try:
            self.memory = mmap.mmap(self.file.fileno(), size, access=access)
        except OSError as error:
            raise VarlError(
                f"{path} of {size} bytes has no room in memory ({error.strerror}); free some, {_SMALLER}"
            ) from None

    def claim(self, end: int) -> None:
        """Make sure that the bytes up to ``end`` have disk space: writing to a mapping without any kills the process.

        Raises:
            VarlError: the disk is full, or the file may not grow.
        """
        if end <= self._claimed:
            return
        upto = min(self.size, end + CLAIM)
        try:
            os.posix_fallocate(self.file.fileno(), self._claimed, upto - self._claimed)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise VarlError(f"{self.path} cannot grow to {upto} bytes ({error.strerror}); {_LARGER}") from None
            raise VarlError(
                f"{self.path}: the disk is full; free at least {CLAIM >> 20} MiB there (what is stored is safe)"
            ) from None
        self._claimed = upto

    def flush(self, start: int, end: int) -> None:
        """Write these bytes to the disk; positions beyond the end continue at the beginning, as in a ring."""
        if end - start >= self.size:
            start, end = 0, self.size
        start, end = start % self.size, (end - 1) % self.size + 1
        for first, last in [(start, end)] if start < end else [(start, self.size), (0, end)]:
            first -= first % mmap.PAGESIZE
            self.memory.flush(first, last - first)
