"""Every node's parameters: type and meaning from its model, value and reason from config/; and the files' fields."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from .markdown import code, table
from .models import Field, Model, Models, parse

# The advisor's model gains a section for each installed backend.
_ADVISOR = ("varl_vlm_advisor/varl_vlm_advisor/service/config.py", "AdvisorConfig")
_FILES = (
    ("The robot's file", "config/robots/*.yaml", "varl_robot_env/varl_robot_env/config/robot.py", "RobotConfig"),
    ("The task's file", "config/tasks/*.yaml", "varl_robot_env/varl_robot_env/tasks/task.py", "TaskConfig"),
    (
        "The perception file",
        "config/perception.yaml",
        "varl_robot_env/varl_robot_env/nodes/perception.py",
        "PerceptionConfig",
    ),
)


def pages(root: Path) -> dict[str, str]:
    """The reference of parameters, and that of the files that people write."""
    models, reasons = Models(root), _reasons(root)
    text = [
        "# Parameters",
        "Of every node, as `ros2 param` shows them: all are read when it starts, and an unknown name "
        "ends it with the nearest there is. The value is the one that ships in `config/` or, where that names none, "
        "the model's own; `params_file:=mine.yaml` overrides some. What is required is given by the launch.",
    ]
    for name, model in sorted(nodes(root, models).items()):
        fields = list(models.fields(model))
        if name == "advisor":
            fields += _backends(root, models)
        told = reasons.get(name, {})
        rows = []
        for field in fields:
            value, reason = told.get(field.name, (field.default, ""))
            shown = code(value) or f"required: {code(field.kind)}"  # narrow enough to be read whole
            rows.append((code(field.name), shown, _both(field.meaning, reason)))
        text += [f"## {name}", table(("parameter", "value", "meaning; unit and reason"), rows)]
    written = [
        "# Files that you write",
        "What may stand in each; `[]` is an element of a list or a mapping. What has no default is required.",
    ]
    for title, where, file, name in _FILES:
        found = models.find(root / "src" / file, name)
        assert found is not None, f"{file} has no class {name}"
        rows = [(code(f.name), code(f.kind), code(f.default), _doubled(f.meaning)) for f in models.fields(found)]
        written += [f"## {title}", f"`{where}`. {found.meaning}", table(("field", "type", "default", "meaning"), rows)]
    return {"parameters.md": "\n\n".join(text) + "\n", "files.md": "\n\n".join(written) + "\n"}


def nodes(root: Path, models: Models) -> dict[str, Model]:
    """Each node by name, with the model of its parameters: from its constructor."""
    found: dict[str, Model] = {}
    for file in sorted(root.glob("src/*/*/**/*.py")):
        for cls in (node for node in parse(file).body if isinstance(node, ast.ClassDef)):
            calls = [node for node in ast.walk(cls) if isinstance(node, ast.Call)]
            names = [c.args[0] for c in calls if ast.unparse(c.func) == "super().__init__" and c.args]
            declared = [c.args[1] for c in calls if ast.unparse(c.func) == "declare_parameters"]
            if declared and names and isinstance(names[0], ast.Constant):
                name, model = str(names[0].value), models.find(file, ast.unparse(declared[0]))
                if name == "advisor":
                    model = models.find(root / "src" / _ADVISOR[0], _ADVISOR[1])
                assert model is not None, f"{file}: no model of {name}'s parameters"
                found[name] = model
    return found


def _backends(root: Path, models: Models) -> Iterator[Field]:
    setup = (root / "src/varl_vlm_advisor/setup.py").read_text(encoding="utf-8")
    for name, module, cls in re.findall(r'"(\w+) = (varl_vlm_advisor\.backends\.\w+):(\w+)"', setup):
        file = root / "src/varl_vlm_advisor" / (module.replace(".", "/") + ".py")
        settings = models.find(file, f"{cls}.Settings")
        yield from models.fields(settings, f"{name}.") if settings else ()


def _reasons(root: Path) -> dict[str, dict[str, tuple[str, str]]]:
    """By node and dotted name: the value in config/, and the remark beside it."""
    told: dict[str, dict[str, tuple[str, str]]] = {}
    files = [*root.glob("config/*.yaml"), root / "config/joystick/gamepad.yaml"]
    for lines in (file.read_text(encoding="utf-8").splitlines() for file in files):
        path: list[tuple[int, str]] = []
        last = ""
        for line in lines:
            key = re.match(r"( *)(# )?([\w/*]+):(?: +([^#]*?))?(?: +# *(.*)| *)$", line)
            if key and not (key[2] and not key[5]):
                path = [(depth, name) for depth, name in path if depth < len(key[1])]
                path.append((len(key[1]), key[3]))
                last = ".".join(name for _, name in path[2:])
                if last:
                    node = path[0][1].rpartition("/")[2]
                    told.setdefault(node, {})[last] = ("" if key[2] else (key[4] or ""), key[5] or "")
            elif last and re.match(r" {20,}# ", line):  # the remark goes on
                node = path[0][1].rpartition("/")[2]
                value, remark = told[node][last]
                told[node][last] = (value, f"{remark} {line.strip().lstrip('# ')}")
    return told


def _both(meaning: str, reason: str) -> str:
    return _doubled(" ".join(filter(None, (meaning and meaning.rstrip(".") + ".", reason))))


def _doubled(text: str) -> str:
    """Docstrings' ``code`` as Markdown's, and nothing of theirs as HTML; within code Markdown sees to that itself."""
    parts = text.replace("``", "`").split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))
