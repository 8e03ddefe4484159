"""Where the things are that somebody sees."""

from __future__ import annotations

from collections.abc import Mapping

from varl_robot_env.arm import StaleState
from varl_robot_env.tasks.task import Task
from varl_robot_env.types import Pose


def sensed(task: Task, entities: Mapping[str, Pose], begin: Mapping[str, Pose]) -> dict[str, Pose]:
    """Pose (7,) of each thing that ``task`` must see: of ``entities``, which are seen now; of what nothing moves in an
    episode, that of ``begin``, as it began (empty: it has not).

    Raises:
        StaleState: one of them is not seen.
    """
    known = {**entities, **{name: begin[name] for name in task.still if name in begin}}
    for name in task.seen:
        if name not in known:
            raise StaleState(f"nobody says where the {name} is; publish it on the entities topic")
    return {name: known[name] for name in task.seen}
