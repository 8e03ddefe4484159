"""A process of the graph, as launch files and the runner start it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ParameterValue = bool | int | float | str


@dataclass(frozen=True)
class Node:
    """A process of the graph. Its name is also the section of its parameters in the YAML files.

    Where ``package`` is empty it is a program on PATH and no ROS node: it is started with its ``arguments`` alone.
    """

    package: str
    executable: str
    parameter_files: tuple[Path, ...] = ()
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)  # on top of the graph's
    essential: bool = True  # the run ends when it does

    @property
    def name(self) -> str:
        return self.executable
