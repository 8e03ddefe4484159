"""A process of the graph, as launch files and the runner start it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ParameterValue = bool | int | float | str


@dataclass(frozen=True)
class Node:
    """A process of the graph. Its name is also the section of its parameters in the YAML files."""

    package: str
    executable: str
    parameter_files: tuple[Path, ...] = ()
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    essential: bool = True  # the run ends when it does

    @property
    def name(self) -> str:
        return self.executable
