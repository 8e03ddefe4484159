"""Files that are there whole or not at all, whenever the process ends, and their names."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path


def real_path(name: str | Path) -> Path:
    """The absolute path of ``name`` as it is now, every link followed; what is not there, or a link in a circle, stays.

    For a folder that is named once and used for hours: a link such as ``runs/latest`` may point elsewhere by then.
    """
    return Path(os.path.realpath(Path(name).expanduser()))  # Path.resolve raises RuntimeError for a circle


def short_path(path: Path) -> str:
    """``path`` as it is typed here: from the working directory on, where it is below that."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write; at the end it is on the disk and takes the name ``path`` in one step.

    A reader sees the old file or the new one, never a part, and so does whoever looks after a crash. Where the body
    raises, nothing is left and an older ``path`` stays as it was. Threads and processes may write one path at once: the
    last wins.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}.part")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_text_atomically(path: Path, text: str) -> None:
    """Write ``text`` to ``path``, whose folders are made, as :func:`atomic_write` does.

    Half a surrogate pair, which a model may answer with, is written as its escape.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as aside:
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")
