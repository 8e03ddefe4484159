"""What processes that were killed leave behind in the memory that Fast DDS shares between those of a host."""

from __future__ import annotations

import contextlib
import subprocess

_PATIENCE = 10.0  # s


def clean_shared_memory() -> None:
    """Free the segments (64 MiB each by config/dds/one_host.xml) of processes that are dead, by Fast DDS's own tool.

    A node that ends by itself frees its own; after ``kill -9`` they stay in /dev/shm, which is memory, until somebody
    does this. Those of living processes, ours or not, are left alone. Without the tool nothing happens.
    """
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(["fastdds", "shm", "clean"], capture_output=True, timeout=_PATIENCE, check=False)
