"""Every message, service and action, from the comments of their files."""

from __future__ import annotations

import re
from pathlib import Path

from .markdown import code, table

_CONSTANT = re.compile(r"(\w+)\s+(\w+)\s*=\s*(\S+)\s*(?:#\s*(.*))?")
_PARTS = {".msg": ("",), ".srv": ("Request", "Response"), ".action": ("Goal", "Result", "Feedback")}
_FIELD = re.compile(r"([\w/\[\]<=]+)\s+(\w+)(?:\s+([^#]*?))?\s*(?:#\s*(.*))?")


def pages(root: Path) -> dict[str, str]:
    """The reference of varl_interfaces."""
    folder = root / "src/varl_interfaces"
    text = [
        "# Messages, services and actions",
        "The package `varl_interfaces`. Units and frames stand with each field; its files are the source of this page.",
    ]
    for heading, kind in (("Actions", "action"), ("Services", "srv"), ("Messages", "msg")):
        text.append(f"## {heading}")
        text += [_interface(file) for file in sorted(folder.glob(f"{kind}/*.{kind}"))]
    return {"interfaces.md": "\n\n".join(text) + "\n"}


def _interface(file: Path) -> str:
    lines = file.read_text(encoding="utf-8").splitlines()
    about = []
    while lines and lines[0].startswith("#"):
        about.append(lines.pop(0).lstrip("# "))
    parts, text = ("\n" + "\n".join(lines)).split("\n---"), [f"### {file.stem}", " ".join(about)]
    for title, part in zip(_PARTS[file.suffix], parts, strict=True):
        rows = _rows(part)
        text += [f"**{title}**"] if title else []
        text.append(table(("field", "type", "meaning"), rows) if rows else "Empty.")
    return "\n\n".join(text)


def _rows(part: str) -> list[list[str]]:
    rows: list[list[str]] = []
    for line in (line.strip() for line in part.splitlines()):
        if line.startswith("#") and rows:  # a remark goes on
            rows[-1][2] += " " + line.lstrip("# ")
        elif match := _CONSTANT.fullmatch(line):
            rows.append([f"`{match[2]}` = {match[3]}", code(match[1]), match[4] or ""])
        elif match := _FIELD.fullmatch(line):
            rows.append([code(match[2]), code(match[1]), match[4] or ""])
    return rows
