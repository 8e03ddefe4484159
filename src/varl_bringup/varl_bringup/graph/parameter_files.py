"""Which YAML files of ROS parameters a node reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from varl_common.errors import VarlError, did_you_mean
from varl_common.yaml_file import load_yaml
from varl_robot_env.config.paths import config_folder

# The sections that a user's file may have: the nodes of the project.
SECTIONS = (
    *("simulator", "env", "learner", "advisor", "evaluate", "deploy", "teleop", "collect"),
    *("check", "find_limits", "calibrate", "realsense", "gazebo", "recorder", "markers", "viewer"),
)


class ParameterFiles:
    """The files of config/, and after them the user's own, whose values win."""

    def __init__(self, params_file: str) -> None:
        """
        Raises:
            VarlError: the user's file is missing, malformed, or has a section that no node reads.
        """
        self._user: tuple[Path, ...] = ()
        if params_file:
            path = Path(params_file).expanduser().absolute()
            check_sections(path)
            self._user = (path,)

    def of(self, node: str, config: str = "") -> tuple[Path, ...]:
        """The files of one node; ``config`` names its file in config/ where that is not its own name."""
        own = config_folder() / f"{config or node}.yaml"
        return (*((own,) if own.is_file() else ()), *self._user)


def check_sections(path: Path) -> None:
    """Raises VarlError: a section is for no node of the project, so that ROS would pass over it without a word."""
    for name in _node_names(load_yaml(path), path):
        last = name.rstrip("/").rpartition("/")[2]
        if last not in (*SECTIONS, "*", "**"):
            remedy = did_you_mean(last, list(SECTIONS))
            raise VarlError(f"{path}: section {name!r} is for no node of the graph; {remedy}")


def _node_names(tree: dict[str, Any], path: Path, prefix: str = "") -> list[str]:
    names = []
    for key, value in tree.items():
        name = f"{prefix}/{key}" if prefix else str(key)
        if not isinstance(value, dict):
            raise VarlError(f"{path}: {name!r} is outside of a section; write <node>: {{ros__parameters: {{...}}}}")
        if "ros__parameters" in value:
            names.append(name)
        else:
            names += _node_names(value, path, name)
    return names
