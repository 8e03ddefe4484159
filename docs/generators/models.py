"""The fields of configuration models, read in the source: importing it would need ROS 2, PyTorch and MuJoCo."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Field:
    """Of a model: its dotted name, type, default as written ("" where it is required) and meaning."""

    name: str
    kind: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Model:
    """A class and the file that it is in."""

    file: Path
    node: ast.ClassDef

    @property
    def meaning(self) -> str:
        return (ast.get_docstring(self.node) or "").partition("\n\n")[0]


@cache
def parse(file: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(file.read_text(encoding="utf-8"))


class Models:
    """Finds classes as the code does: in their module, or where that imports them from."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, file: Path, name: str) -> Model | None:
        """The class that ``name`` (dotted where it is nested) means in ``file``."""
        first, _, inner = name.partition(".")
        for node in parse(file).body:
            if isinstance(node, ast.ClassDef) and node.name == first:
                return _inside(Model(file, node), inner)
            if isinstance(node, ast.ImportFrom) and node.module and first in (a.asname or a.name for a in node.names):
                source = self._file(node.module)
                return self.find(source, name) if source else None
        return None

    def fields(self, model: Model, prefix: str = "") -> Iterator[Field]:
        """Of a model and of those nested in it."""
        for base in model.node.bases:
            parent = self.find(model.file, ast.unparse(base))
            yield from self.fields(parent, prefix) if parent else ()
        body = model.node.body
        for statement, after in zip(body, [*body[1:], None], strict=True):
            if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                continue
            name = _alias(statement.value) or statement.target.id
            if name.startswith("_") or name == "model_config":
                continue
            file, kind = self._spelled_out(model.file, statement.annotation)
            nested = self.nested(file, kind)
            default, meaning = _default(statement.value)
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                meaning = str(after.value.value)
            if nested:
                if meaning or isinstance(kind, ast.BinOp | ast.Subscript):
                    yield Field(prefix + name, _plain(kind), default, meaning or nested.meaning)
                yield from self.fields(nested, f"{prefix}{name}{_each(kind)}.")
            else:
                yield Field(prefix + name, _plain(kind), default, meaning)

    def _spelled_out(self, file: Path, kind: ast.expr) -> tuple[Path, ast.expr]:
        """A type that the code has given a name, as it is written where it has that name."""
        if not isinstance(kind, ast.Name):
            return file, kind
        for node in parse(file).body:
            if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [kind.id]:
                return (file, node.value) if isinstance(node.value, ast.Subscript) else (file, kind)
            if isinstance(node, ast.ImportFrom) and node.module and kind.id in (a.asname or a.name for a in node.names):
                source = self._file(node.module)
                return self._spelled_out(source, kind) if source else (file, kind)
        return file, kind

    def nested(self, file: Path, kind: ast.expr) -> Model | None:
        """The model that a field's type is made of, if it is."""
        for node in ast.walk(kind):
            if isinstance(node, ast.Name) and (model := self.find(file, node.id)) and self._is_model(model):
                return model
        return None

    def _is_model(self, model: Model) -> bool:
        names = [ast.unparse(base) for base in model.node.bases]
        parents = [self.find(model.file, name) for name in names]
        return "Config" in names or any(parent and self._is_model(parent) for parent in parents)

    def _file(self, module: str) -> Path | None:
        path = self._root / "src" / module.partition(".")[0] / module.replace(".", "/")
        return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _inside(model: Model, inner: str) -> Model | None:
    if not inner:
        return model
    return next(
        (Model(model.file, n) for n in model.node.body if isinstance(n, ast.ClassDef) and n.name == inner), None
    )


def _plain(kind: ast.expr) -> str:
    """``Annotated[float, ...]`` as ``float``."""
    if isinstance(kind, ast.Subscript) and ast.unparse(kind.value) == "Annotated" and isinstance(kind.slice, ast.Tuple):
        kind = kind.slice.elts[0]
    return ast.unparse(kind)


def _each(kind: ast.expr) -> str:
    """What stands between a field's name and those of the models that it holds several of: ``[]``, or ``.<name>``."""
    if isinstance(kind, ast.Name | ast.BinOp):
        return ""
    return ".<name>" if _plain(kind).startswith("dict[") else "[]"


def _alias(value: ast.expr | None) -> str:
    """What a field is called in a file, where that is not its name in the code."""
    given = value.keywords if isinstance(value, ast.Call) else []
    return next((str(ast.literal_eval(keyword.value)) for keyword in given if keyword.arg == "alias"), "")


def _default(value: ast.expr | None) -> tuple[str, str]:
    """A field's default as written, and its description."""
    if value is None:
        return "", ""
    if not isinstance(value, ast.Call) or ast.unparse(value.func) != "Field":
        return ast.unparse(value), ""
    given = {keyword.arg: keyword.value for keyword in value.keywords}
    default = value.args[0] if value.args else given.get("default")
    description = given.get("description")
    text = ast.literal_eval(description) if description is not None else ""
    return ("" if default is None else ast.unparse(default)), str(text)
