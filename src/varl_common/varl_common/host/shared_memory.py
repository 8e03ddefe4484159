"""What processes that were killed leave behind in the memory that Fast DDS shares between those of a host."""

from __future__ import annotations

import contextlib
import fcntl
import re
from pathlib import Path

_FOLDER = Path("/dev/shm")
# The lock of a segment or port, by its names up to Jazzy and after it.
_LOCK = re.compile(r"(fast(?:rtps|dds)_(?:[0-9a-f]{16}|port\d+))_el")


def clean_shared_memory() -> None:
    """Free the segments (64 MiB each by config/dds/one_host.xml) and ports of processes that are dead.

    A node that ends by itself frees its own; after ``kill -9`` they stay in /dev/shm, which is memory, until somebody
    does this. Fast DDS locks a file beside each for as long as its process lives; only what can be locked is removed.
    Its own tool, ``fastdds shm clean``, goes by the same locks, but Kilted's wants psutil and clears the living's
    data-sharing segments as well.
    """
    for lock in _FOLDER.glob("fast*_el"):
        if match := _LOCK.fullmatch(lock.name):
            with contextlib.suppress(OSError), lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for name in (match[1], f"sem.{match[1]}_mutex", lock.name):
                    (_FOLDER / name).unlink(missing_ok=True)
