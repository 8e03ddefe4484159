"""The task in a sentence that is true of the scene: things are called by their looks where a camera can see them."""

from __future__ import annotations

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.tasks.task import TaskConfig

_NAMES = {"block": "the block", "target": "the target"}
_DRAWN = {"mujoco": {"block": "the red block", "target": "the green ball"}}
"""What a simulator draws. Elsewhere the target is a place that the environment has chosen, and nobody can see it."""


def instruction(config: TaskConfig, robot: RobotConfig, backend: str) -> str:
    """The task's instruction with its things named as they look on ``robot``, or in the simulator ``backend``.

    Where nothing shows the target, a second sentence says so.
    """
    looks = robot.appearance.model_dump(exclude_defaults=True) if backend == "real" else _DRAWN.get(backend, {})
    sentence = config.instruction.format(**_NAMES | looks)
    if "{target}" in config.instruction and "target" not in looks:
        sentence += " Nothing in the picture shows the target; the state says where it is."
    return sentence
