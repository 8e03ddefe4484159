"""What set-up says: one line a step, one line an error, everything else in a log file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class SetupError(Exception):
    """One line that says what is missing and the remedy."""


def say(line: str) -> None:
    over_bar = "\r\x1b[2K" if sys.stderr.isatty() else ""
    print(f"{over_bar}set-up: {line}", file=sys.stderr, flush=True)


def run(command: Sequence[str | Path], log: Path, remedy: str, env: Mapping[str, str] | None = None) -> None:
    """Run a command with its output in ``log``.

    Raises:
        SetupError: it failed; the line quotes the command's own last error and gives the remedy.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [str(word) for word in command]
    with log.open("a", encoding="utf-8") as output:
        output.write(f"\n$ {' '.join(words)}\n")
        output.flush()
        start = output.tell()
        try:
            status = subprocess.run(words, stdout=output, stderr=subprocess.STDOUT, env=env, check=False).returncode
        except OSError as error:
            raise SetupError(f"{words[0]} cannot be run ({error.strerror}); {remedy}") from None
    if status != 0:
        with log.open(encoding="utf-8", errors="replace") as output:
            output.seek(start)
            said = _error_line(output.read())
        raise SetupError(f"{Path(words[0]).name} failed: {said}; {remedy} (all it said: {log})")


def _error_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["it said nothing"])[-1]
