"""Where a camera is, as the calibration measured it and perception reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import yaml
from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator
from varl_common.config import Config
from varl_common.errors import VarlError
from varl_common.files import write_text_atomically
from varl_common.poses import matrix_to_pose, pose_to_matrix

from varl_robot_env.config.names import Name
from varl_robot_env.perception.hand_eye import HandEye, Mount
from varl_robot_env.types import Array

PoseList = Annotated[list[float], Field(min_length=7, max_length=7)]


class Calibration(Config):
    """A calibrated camera: its file in calibrations/."""

    camera: Name
    """Its name in the robot's file."""
    mount: Mount
    pose: PoseList
    """The optical frame in the frame of the mount (base or tool): x, y, z in m, quaternion x, y, z, w."""
    residual_mm: NonNegativeFloat
    residual_deg: NonNegativeFloat
    samples: PositiveInt

    @model_validator(mode="after")
    def _unit_quaternion(self) -> Self:
        if abs(float(np.linalg.norm(self.pose[3:])) - 1.0) > 1e-3:
            raise ValueError("pose[3:] is not a unit quaternion; run the calibration again")
        return self

    @classmethod
    def of(cls, camera: str, mount: Mount, samples: int, result: HandEye) -> Self:
        """The file's content for a ``result``."""
        return cls(
            camera=camera,
            mount=mount,
            pose=[round(float(value), 6) for value in matrix_to_pose(result.camera)],
            residual_mm=round(result.residual_mm, 3),
            residual_deg=round(result.residual_deg, 3),
            samples=samples,
        )

    def matrix(self) -> Array:
        """(4, 4) of the pose, its quaternion normalised."""
        return pose_to_matrix(np.array(self.pose))

    def save(self, path: Path) -> None:
        """Write the file.

        Raises:
            VarlError: it cannot be written.
        """
        text = "# Hand-eye calibration, as measured. After the camera was moved, calibrate again.\n"
        try:
            write_text_atomically(path, text + yaml.safe_dump(self.model_dump(), sort_keys=False))
        except OSError as error:
            raise VarlError(f"{path} cannot be written: {error.strerror}; name another calibration_file") from None


def joints_in_order(names: Sequence[str], positions: Sequence[float], joints: Sequence[str]) -> Array | None:
    """The ``positions`` of ``joints``, in their order, out of a joint state; None where one is missing or not finite.

    Drivers publish grippers separately, and order the joints as they like.
    """
    there = dict(zip(names, positions, strict=False))
    found = np.array([there.get(joint, np.nan) for joint in joints], np.float64)
    return found if np.isfinite(found).all() else None
