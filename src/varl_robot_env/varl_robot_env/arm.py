"""What the environment needs of an arm, be it simulated in process, behind ROS topics, or real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from varl_common.frame import Frame

from varl_robot_env.types import Array, Pose


class ArmError(RuntimeError):
    """The arm did not do its part. The message says what is wrong, what was expected and what to do."""


class StaleState(ArmError):
    """No fresh joint state or entities."""


@dataclass(frozen=True)
class ArmState:
    """The arm and the things around it at one instant.

    Attributes:
        stamp_ns: time of the joint state, ns.
        joints: (n,) positions, rad, in the robot file's order.
        speeds: (n,) rad/s.
        gripper: position of the gripper's joint, m; None where the robot has none.
        entities: pose of each thing that is seen, base frame.
    """

    stamp_ns: int
    joints: Array
    speeds: Array
    gripper: float | None
    entities: Mapping[str, Pose]


class Arm(Protocol):
    """An arm that is told joint positions, one control period at a time."""

    lock_step: bool
    cameras: list[str]

    def reset(self, joints: Array, gripper: float | None, entities: Mapping[str, Pose], capture: bool) -> ArmState:
        """Bring the arm to rest at ``joints``, and the ``entities`` to their poses where that is possible."""
        ...

    def move(self, joints: Array, gripper: float | None, capture: bool) -> ArmState:
        """Command ``joints`` and ``gripper`` (None: leave it), let one control period pass, and read the state."""
        ...

    def frames(self) -> list[Frame]:
        """A frame of each camera, of the instant of the last state; only after a ``capture``."""
        ...
