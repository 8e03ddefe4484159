"""Keys of the terminal, one at a time, while a node works."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator

_LOOK_EVERY = 0.2  # s: how soon the thread ends


@contextlib.contextmanager
def keys(pressed: Callable[[str], object]) -> Iterator[bool]:
    """Within the block ``pressed`` is told each key, in a thread of its own; whether there is a terminal to read."""
    try:
        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
    except (OSError, ValueError, termios.error):
        yield False
        return
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            if select.select([terminal], [], [], _LOOK_EVERY)[0]:
                key = os.read(terminal, 1).decode("ascii", "ignore")
                if not key:
                    return
                pressed(key)

    thread = threading.Thread(target=read, name="keys", daemon=True)
    try:
        tty.setcbreak(terminal)  # Ctrl-C stays what it is
        thread.start()
        yield True
    finally:
        ended.set()
        thread.join()
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
