"""What may be drawn where: colours on a terminal alone, and none where NO_COLOR asks for none (https://no-color.org)."""

from __future__ import annotations

import os
from typing import IO, Any

GREEN, YELLOW, RED = 32, 33, 31


def colours(stream: IO[Any]) -> bool:
    """Whether ``stream`` may be coloured."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def mark(text: str, colour: int, stream: IO[Any]) -> str:
    """``text`` in ``colour`` where ``stream`` may be coloured."""
    return f"\x1b[{colour}m{text}\x1b[0m" if colours(stream) else text
