"""A small process that outlives the runner just long enough to stop the nodes when the runner was killed."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable

# Seconds that an abandoned node gets to save what it has, and then to end on SIGTERM.
_GRACE = ((signal.SIGINT, 4.0), (signal.SIGTERM, 0.5), (signal.SIGKILL, 0.0))
_POLL = 0.05  # s


class Guardian:
    """Knows every process group of the run. :meth:`adopt` runs in the child, before it becomes the node."""

    def __init__(self) -> None:
        read, self._write = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _guard(read, self._write)
        os.close(read)

    def adopt(self) -> None:
        """Make the calling process the leader of a session of its own, which the guardian knows of."""
        os.setsid()
        os.write(self._write, f"{os.getpid()}\n".encode())

    def dismiss(self) -> None:
        """All nodes have been stopped: there is nothing left to guard."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._write)


def signal_groups(groups: Iterable[int], number: int) -> list[int]:
    """Send a signal to process groups (0: none, only look); those that still have a process."""
    alive = []
    for group in groups:
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            continue
        except PermissionError:
            pass
        alive.append(group)
    return alive


def _guard(read: int, write: int) -> None:
    """Body of the guardian's process: never returns."""
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.close(write)
        with open(read, encoding="ascii") as pipe:
            groups = [int(line) for line in pipe]  # ends when the runner does
        for number, grace in _GRACE:
            groups = signal_groups(groups, number)
            deadline = time.monotonic() + grace
            while groups and time.monotonic() < deadline:
                time.sleep(_POLL)
                groups = signal_groups(groups, 0)
    finally:
        os._exit(0)
