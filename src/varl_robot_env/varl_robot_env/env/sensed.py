"""Where the things are that somebody sees."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from varl_robot_env.arm import StaleState
from varl_robot_env.types import Pose


class Sensed:
    """What is sensed of a task's things, episode by episode; what nothing moves is where it was as one began."""

    def __init__(self, names: Collection[str], still: Collection[str]) -> None:
        """``names``: of what must be seen; ``still``: of those that nothing moves."""
        self._names, self._still = names, still
        self._kept: dict[str, Pose] = {}

    def begin(self) -> None:
        """Another episode is going to begin: all of it is to be seen anew."""
        self._kept = {}

    def keep(self, poses: Mapping[str, Pose]) -> None:
        """It begins with ``poses``, those of what is still among them."""
        self._kept = {name: poses[name] for name in self._still}

    def poses(self, entities: Mapping[str, Pose]) -> dict[str, Pose]:
        """Pose (7,) of each thing, where ``entities`` are what is seen now.

        Raises:
            StaleState: one of them is not.
        """
        sensed = {**entities, **self._kept}
        for name in self._names:
            if name not in sensed:
                raise StaleState(f"nobody says where the {name} is; publish it on the entities topic")
        return {name: sensed[name] for name in self._names}
