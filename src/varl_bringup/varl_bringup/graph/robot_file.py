"""A robot's file, as far as the graph depends on it: the nodes check all of it, where their packages are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from varl_common.errors import VarlError
from varl_common.yaml_file import load_yaml


@dataclass(frozen=True)
class RobotFile:
    """Names in a robot's file.

    Attributes:
        name: of the robot.
        urdf: ``package://``, a path relative to the file, or ``topic://``.
        base_frame: the arm's base on TF.
        controllers: of the arm, and of the gripper where it has one.
        calibrated: a camera's place is known.
    """

    name: str
    urdf: str
    base_frame: str
    controllers: tuple[str, ...]
    calibrated: bool

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            VarlError: it is missing, is not YAML, or lacks one of these names.
        """
        values = load_yaml(path)
        holders = [(key, values) for key in ("name", "urdf", "base_frame", "arm_controller")]
        if values.get("gripper"):
            holders.append(("controller", values["gripper"]))
        names = []
        for key, holder in holders:
            name = holder.get(key) if isinstance(holder, dict) else None
            if not isinstance(name, str):
                raise VarlError(f"{path}: {key!r} is {name!r}; expected a name, in quotes where it looks like a number")
            names.append(name)
        name, urdf, base_frame, *controllers = names
        cameras = values.get("cameras")
        calibrated = isinstance(cameras, list) and any(
            isinstance(one, dict) and one.get("calibration") for one in cameras
        )
        return cls(name, urdf, f"{values.get('prefix') or ''}{base_frame}", tuple(controllers), calibrated)
