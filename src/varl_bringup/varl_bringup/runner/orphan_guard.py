"""A small process that outlives the one that starts the nodes just long enough to stop them when that was killed."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable

# Seconds that an abandoned node gets to save what it has, on a busy machine too, and then to end on SIGTERM.
_GRACE = ((signal.SIGINT, 8.0), (signal.SIGTERM, 0.5), (signal.SIGKILL, 0.0))
_POLL = 0.05  # s


class OrphanGuard:
    """Knows every process that is to end with this one, even where this one ends by SIGKILL."""

    def __init__(self) -> None:
        read, self._write = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _guard(read, self._write)
        os.close(read)

    def adopt(self) -> None:
        """Make the calling process the leader of a session of its own, all of which is watched.

        It runs in a child, before that becomes the node.
        """
        os.setsid()
        self._tell(f"+{-os.getpid()}")

    def watch(self, pid: int) -> None:
        """A process was started."""
        self._tell(f"+{pid}")

    def forget(self, pid: int) -> None:
        """It has ended: its number may soon be another's."""
        self._tell(f"-{pid}")

    def dismiss(self) -> None:
        """All nodes have been stopped: there is nothing left to guard."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._write)

    def _tell(self, line: str) -> None:
        os.write(self._write, f"{line}\n".encode())


def send(number: int, targets: Iterable[int]) -> list[int]:
    """Send a signal (0: none, only look) to processes, and to groups by their negative numbers; those still there."""
    alive = []
    for target in targets:
        try:
            os.kill(target, number)
        except ProcessLookupError:
            continue
        except PermissionError:
            pass
        alive.append(target)
    return alive


def _guard(read: int, write: int) -> None:
    """Body of the guard's process: never returns."""
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.close(write)
        watched: set[int] = set()
        with open(read, encoding="ascii") as pipe:
            for line in pipe:  # ends when the one that writes does
                (watched.add if line[0] == "+" else watched.discard)(int(line[1:]))
        left = list(watched)
        for number, grace in _GRACE:
            left = send(number, left)
            deadline = time.monotonic() + grace
            while left and time.monotonic() < deadline:
                time.sleep(_POLL)
                left = send(0, left)
    finally:
        os._exit(0)
