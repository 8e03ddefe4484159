"""Every sentence of an error that a person can act on, from where the code raises it."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .models import parse


@dataclass(frozen=True)
class Sentence:
    """What is said, with ``<...>`` for what is filled in, and where."""

    module: str
    line: int
    text: str


def pages(root: Path) -> dict[str, str]:
    """The catalogue of errors, by module."""
    text = [
        "# Errors and what to do",
        "An error that a person can act on is one sentence: what is wrong, what was expected, what to do. A program "
        "prints it without a traceback and ends with status 2; a setting's is told with the file and the setting in "
        "front, an arm's or an advisor's as the status of the step or the answer. These are all of them, by module; "
        "`<...>` is filled in.",
    ]
    package = module = ""
    for sentence in catalogue(root):
        if sentence.module.partition(".")[0] != package:
            package = sentence.module.partition(".")[0]
            text.append(f"## {package}")
        if sentence.module != module:
            module = sentence.module
            text.append(f"**{module}**")
        text.append(f"- {html.escape(sentence.text).replace('*', chr(92) + '*').replace('_', chr(92) + '_')}")
    return {"errors.md": "\n\n".join(text).replace("\n\n- ", "\n- ").replace("**\n- ", "**\n\n- ") + "\n"}


def catalogue(root: Path) -> list[Sentence]:
    """What every error of ours says, and every ValueError, which is what a setting's or an argument's check raises.

    In the order of modules and lines; ``expect`` is a VarlError, too.
    """
    files = sources(root)
    kinds = {"ValueError", *own_kinds(files)}
    return [sentence for file in files for sentence in _sentences(file, kinds)]


def sources(root: Path) -> list[Path]:
    """The packages' modules."""
    return [file for file in sorted(root.glob("src/*/*/**/*.py")) if "test" not in file.relative_to(root).parts]


def own_kinds(files: list[Path]) -> set[str]:
    """Names of the exceptions that ``files`` define."""
    bases = {node.name: {ast.unparse(base) for base in node.bases} for file in files for node in _classes(file)}
    kinds = {"Exception", "RuntimeError", "ValueError", "VarlError"}
    while more := {name for name, of in bases.items() if of & kinds} - kinds:
        kinds |= more
    return kinds & set(bases)


def _classes(file: Path) -> Iterator[ast.ClassDef]:
    return (node for node in parse(file).body if isinstance(node, ast.ClassDef))


def _sentences(file: Path, kinds: set[str]) -> Iterator[Sentence]:
    module = ".".join(file.with_suffix("").parts[-len(file.parts) + file.parts.index("src") + 2 :]).removesuffix(
        ".__init__"
    )
    for node in sorted((n for n in ast.walk(parse(file)) if isinstance(n, ast.Call)), key=lambda n: n.lineno):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in kinds:
            said = [text for text in map(_text, node.args) if " " in re.sub("<[^>]*>", "", text).strip()]
            yield from (Sentence(module, node.lineno, text) for text in said[:1])
        elif name == "expect" and len(node.args) == 4:
            yield Sentence(module, node.lineno, f"{_text(node.args[1])} is <value>, expected {_text(node.args[3])}")


def _text(node: ast.expr) -> str:
    """A string as it is written, with the names of what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) for value in node.values)
    if isinstance(node, ast.FormattedValue):
        return f"<{_name(node.value)}>"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.IfExp):
        return f"{_text(node.body)} / {_text(node.orelse)}"
    return f"<{_name(node)}>"


def _name(node: ast.expr) -> str:
    """A word for an expression: its last name."""
    if isinstance(node, ast.Call):
        return _name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr.strip("_").replace("_", " ")
    if isinstance(node, ast.Name):
        return node.id.strip("_").replace("_", " ")
    return "value"
