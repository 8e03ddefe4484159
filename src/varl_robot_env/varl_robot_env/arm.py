"""What the environment needs of an arm, be it simulated in process, behind ROS topics, or real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from varl_common.frame import Frame

from varl_robot_env.motion import GripperMotion, Moment, Trajectory
from varl_robot_env.types import Array, Image, Pose


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
        force: (3,) on the tool, N; None where nothing measures it.
    """

    stamp_ns: int
    joints: Array
    speeds: Array
    gripper: float | None
    entities: Mapping[str, Pose]
    force: Array | None = None


@dataclass(frozen=True)
class Picture:
    """What a camera saw: (height, width, 3) uint8 RGB, at ``stamp_ns``."""

    pixels: Image
    stamp_ns: int


class Arm(Protocol):
    """An arm that is told motions, one control period at a time.

    Attributes:
        lock_step: time stands still between two motions.
        places: a reset puts things at their poses; else a person has put them there.
        cameras: their names.
    """

    lock_step: bool
    places: bool
    cameras: list[str]

    def reset(self, joints: Array, gripper: float | None, entities: Mapping[str, Pose], capture: bool) -> ArmState:
        """Bring the arm to rest at ``joints``, and the ``entities`` to their poses where that is possible."""
        ...

    def now(self) -> Moment:
        """What the arm is doing as the next motion begins, with the joints as measured now."""
        ...

    def move(self, motion: Trajectory, gripper: GripperMotion | None, capture: bool) -> ArmState:
        """Begin ``motion`` and move the ``gripper`` (None: leave it), let a control period pass, and read the state."""
        ...

    def pictures(self) -> Mapping[str, Picture]:
        """The color picture of each observed camera, whole: of the instant of the last state, or the newest.

        Raises:
            ArmError: one does not come.
        """
        ...

    def frames(self) -> list[Frame]:
        """A frame of each camera, of the instant of the last state; only after a ``capture``."""
        ...
