"""How a task begins again on an arm; a simulator puts everything where it starts."""

from __future__ import annotations

from pydantic import PositiveFloat
from varl_common.config import Config
from varl_common.plan import Phase

from varl_robot_env.config.robot import Vector3


class PlaceConfig(Config):
    """A place to go to, as a phase of a plan is."""

    target: str
    """The thing, or ``tool``, that the place is relative to."""
    offset: Vector3 = (0.0, 0.0, 0.0)
    """From it, m, base frame."""
    gripper: float = 0.0
    """On the way: 1 closes, -1 opens."""
    tolerance: PositiveFloat = 0.02
    """How near counts as there, m."""

    def phase(self) -> Phase:
        """The same as a plan's."""
        return Phase(self.target, self.offset, self.gripper, self.tolerance)


class ResetConfig(Config):
    """What is done after an episode, in this order; the way home is part of each reset."""

    task: str = ""
    """Another task's file, relative to this one's, that undoes what was done: its plan acts until it is solved."""
    path: tuple[PlaceConfig, ...] = ()
    """Places that the tool passes on its way back. Where the first opens the gripper, it lets go before it moves."""
    person: bool = False
    """A person is told where things are to be, puts them there, and calls the service ``~/ready``."""
