"""The advisor's node: where it advises, and where a task asks it whether an episode was a success."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from varl_common.yaml_file import load_yaml
from varl_robot_env.config.paths import config_file

from varl_bringup.graph.node import Node, ParameterValue
from varl_bringup.graph.parameter_files import ParameterFiles


def advisor_node(values: Mapping[str, str], run_dir: Path, files: ParameterFiles) -> Node:
    """Of the backend that ``values`` name or else the parameter files; ``run_dir`` keeps its spending."""
    given: dict[str, ParameterValue] = {"run_dir": str(run_dir)}
    if values.get("advisor", "none") != "none":
        given = {"backend": values["advisor"], **given}
    if values.get("recipe") == "paper":
        given["strategy"] = "direction"  # published are single actions
    return Node("varl_vlm_advisor", "advisor", files.of("advisor"), given)


def judge(values: Mapping[str, str], run_dir: Path, files: ParameterFiles) -> list[Node]:
    """The advisor, where the success of the task asks it, though nobody else does."""
    task_file = config_file("tasks", values["task"])
    words = _words(load_yaml(task_file).get("success")) if task_file.exists() else ()
    return [advisor_node(values, run_dir, files)] if "vlm" in words else []


def _words(rule: Any) -> Iterator[str]:
    """What a rule is put together of."""
    for key, value in rule.items() if isinstance(rule, dict) else ():
        yield str(key)
        for part in value if isinstance(value, list) else [value]:
            yield from _words(part)
