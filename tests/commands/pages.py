"""The commands in the documentation, read from the pages themselves: whoever writes one down has it run.

A command is a line of a block of ``sh`` or ``bash``, or a part of it between ``&&``. One that is not run has its
reason in a comment above its block::

    <!-- not run: vllm serve. It needs a GPU. Instead: python -m varl_vlm_advisor.testing.server good -->

which names its first words, why, and what is run in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_RUN = re.compile(r"<!-- not run: (?P<what>.+?)\. (?P<reason>.+?)\. Instead: (?P<instead>.+?) -->", re.DOTALL)
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """A command, where it stands, and why it is not run where it is not."""

    page: str
    line: int
    text: str
    reason: str = ""
    instead: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """README first: it begins with what the others go on from."""
    docs = (page for page in sorted((ROOT / "docs").rglob("*.md")) if not {"generated", "_build"} & set(page.parts))
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *docs, *sorted((ROOT / "src").glob("*/README.md"))]


def commands(page: Path) -> Iterator[Command]:
    """Those of one page, from its top to its end."""
    text = page.read_text(encoding="utf-8")
    name = str(page.relative_to(ROOT))
    after = 0
    for block in _BLOCK.finditer(text):
        if block["language"] in ("sh", "bash"):
            marks = list(NOT_RUN.finditer(text, after, block.start()))
            first = text.count("\n", 0, block.start()) + 2
            for line, command in _lines(block["text"], first):
                mark = next((mark for mark in marks if _is(command, mark["what"])), None)
                said = (" ".join(mark[what].split()) for what in ("reason", "instead")) if mark else ()
                yield Command(name, line, command, *said)
        after = block.end()


def files(page: Path) -> dict[str, str]:
    """What the page tells its reader to write into files: blocks of YAML whose first line is the file's name."""
    found = {}
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        text = re.sub(rf"^{block['indent']}", "", block["text"], flags=re.MULTILINE)
        if block["language"] == "yaml" and (named := re.match(r"# (\w+\.yaml)\n", text)):
            found[named[1]] = text
    return found


def _is(command: str, beginning: str) -> bool:
    return f"{command} ".startswith(f"{' '.join(beginning.split())} ")


def _lines(block: str, first: int) -> Iterator[tuple[int, str]]:
    joined, start = "", first
    for number, line in enumerate(block.splitlines(), first):
        if not joined:
            start = number
        joined += line.strip()
        if joined.endswith("\\"):
            joined = joined.removesuffix("\\")
            continue
        bare = re.sub(r"(^|\s)#\s.*$", "", joined).strip()
        for part in bare.split(" && "):
            if part:
                yield start, part.strip()
        joined = ""
