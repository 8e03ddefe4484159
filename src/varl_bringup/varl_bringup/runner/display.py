"""Each node's output, line by line, with the node's name in front."""

from __future__ import annotations

import sys
from typing import IO

_COLOURS = (36, 35, 34, 33, 32)  # cyan, magenta, blue, yellow, green
_RESET = "\x1b[0m"
# To the first column, and clear the line: the learner's progress bar may be there, and draws itself anew below.
_CLEAR_LINE = "\r\x1b[2K"
# A node that never ends a line is shown in pieces of this many bytes.
_LONGEST_LINE = 64 * 1024


class Display:
    """The terminal, or whatever the output goes to, shared by all nodes."""

    def __init__(self, names: list[str], colour: bool, behind_bar: bool) -> None:
        width = max(map(len, names))
        self._start = _CLEAR_LINE if behind_bar else ""
        self._prefix = {}
        for index, name in enumerate(names):
            label = f"{name:<{width}} |"
            if colour:
                label = f"\x1b[{_COLOURS[index % len(_COLOURS)]}m{label}{_RESET}"
            self._prefix[name] = label

    def line(self, name: str, text: str) -> None:
        """Show one line of a node."""
        sys.stdout.write(f"{self._start}{self._prefix[name]} {text}\n")
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """Show one line of the runner itself."""
        sys.stderr.write(f"{self._start}varl: {text}\n")
        sys.stderr.flush()


class LineReader:
    """Cuts what comes through a node's pipe into lines."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.pipe = pipe
        self._rest = b""

    def read(self) -> tuple[list[str], bool]:
        """The lines completed by one read, and whether the pipe is still open."""
        data = self.pipe.read(_LONGEST_LINE)
        if data is None:  # nothing there: the pipe does not block
            return [], True
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data or len(self._rest) > _LONGEST_LINE:
            lines, self._rest = [*lines, *([self._rest] if self._rest else [])], b""
        return [line.decode("utf-8", "replace").rstrip("\r") for line in lines], bool(data)
