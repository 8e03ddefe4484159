"""docs/safety.md's table against the code: every rule, guard and stop has its row, and every row is so."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from varl_robot_env.config.driver import DriverConfig
from varl_robot_env.config.robot import RobotConfig, SafetyConfig, TurnConfig

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/varl_robot_env/varl_robot_env"
TABLE = [line for line in (ROOT / "docs/safety.md").read_text().splitlines() if line.startswith("|")][2:]
ROWS = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in TABLE]
HEADINGS = [number for number, row in enumerate(ROWS) if row[0].startswith("**")]

# The inputs that stop an arm, by how InputRule names them, and the row that tells of each.
INPUTS = {
    "joint state of": "joint states",
    "sight of": "the task's things, cameras",
    "camera": "the task's things, cameras",
    "picture of": "the task's things, cameras",
    "speed scaling": "speed slider",
    "deadman switch": "deadman switch",
    "force at the tool": "effort, force",
    "emergency stop": "other emergency stops",
    "": "driver's faults",  # named after their topic
}
# What trips the stop beside them, by its first words.
TRIPS = {
    "asked for by the stop service": "`env/stop`",
    "the joystick fell silent": "joystick",
    "the reset failed": "way home",
}


def rules() -> list[str]:
    return [word for row in ROWS[: HEADINGS[1]] for word in re.findall(r"^`(\w+)`$", row[0])]


def trees(*patterns: str) -> Iterator[ast.AST]:
    for pattern in patterns:
        for path in sorted(PACKAGE.glob(pattern)):
            yield from ast.walk(ast.parse(path.read_text()))


def words(node: ast.expr) -> str:
    """How a text begins, up to what is put into it."""
    if isinstance(node, ast.JoinedStr):
        node = node.values[0] if node.values else node
    return str(node.value).strip() if isinstance(node, ast.Constant) else ""


def named(call: ast.AST, name: str) -> bool:
    if not isinstance(call, ast.Call):
        return False
    return getattr(call.func, "attr", getattr(call.func, "id", "")) == name


def test_every_intervention_has_a_row_and_every_row_is_one() -> None:
    found = set()
    for node in trees("safety/governor.py", "safety/safety_filter.py"):
        if named(node, "append") and isinstance(node, ast.Call) and ast.unparse(node.func).startswith("changed."):
            found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
        if isinstance(node, ast.FunctionDef) and "problem" in node.name:
            returned = [one.value for one in ast.walk(node) if isinstance(one, ast.Return)]
            values = [one for value in returned if value for one in ast.walk(value)]
            found |= {one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    assert found == set(rules())


def test_every_input_that_stops_an_arm_has_a_row() -> None:
    found = {words(node.args[0]) for node in trees("arms/*.py", "nodes/*.py") if named(node, "InputRule")}  # type: ignore[attr-defined]
    assert found == set(INPUTS)
    assert set(INPUTS.values()) <= {row[0] for row in ROWS}


def test_whatever_trips_the_stop_has_a_row() -> None:
    calls = [node for node in trees("nodes/*.py") if named(node, "_trip")]
    found = {words(node.args[0]) for node in calls} - {""}  # type: ignore[attr-defined]
    assert all(any(one.startswith(begin) for begin in TRIPS) for one in found), found
    assert set(TRIPS.values()) <= {row[0] for row in ROWS}


def models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models(part)]


def test_every_setting_of_the_safety_has_a_row_and_every_setting_that_is_named_is_there() -> None:
    table = "\n".join(TABLE)
    for bounds in (SafetyConfig, TurnConfig):
        for field in bounds.model_fields:
            if field != "scale":  # of an action, no bound
                assert re.search(rf"`(\w+\.)?{field}`", table), f"{bounds.__name__}.{field}"
    for field, value in DriverConfig.model_fields.items():
        if any("topic" in model.model_fields for model in models(value.annotation)):
            assert f"`driver.{field}`" in table, field
    for path in re.findall(r"`([a-z]+\.[a-z_]+)`", table):
        section, _, field = path.partition(".")
        (model,) = models(RobotConfig.model_fields[section].annotation)
        assert field in model.model_fields, path


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`env/(\w+)`", (ROOT / "docs/safety.md").read_text()))))
def test_services_and_topics_that_are_named_are_the_env_nodes(name: str) -> None:
    sources = [PACKAGE / "nodes/env.py", PACKAGE / "ros/agent_presence.py"]
    assert any(f'"~/{name}"' in source.read_text() for source in sources)
