"""The task in a sentence that is true of the scene: things are called by their looks where a camera can see them."""

from __future__ import annotations

import difflib

from varl_common.errors import VarlError

from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.tasks.task import TaskConfig


def instruction(config: TaskConfig, robot: RobotConfig, backend: str) -> str:
    """The task's instruction with its things named as they look on ``robot``, or in the simulator ``backend``.

    Where nothing shows a place, another sentence says so.

    Raises:
        VarlError: the robot's file says how a thing looks that is none of the task's, by a slip of the pen.
    """
    looks: dict[str, str] = {}
    if backend == "real":
        _check(robot, list(config.things))
        looks = {name: words for name, words in robot.appearance.items() if words}
    elif backend == "mujoco":
        looks = {name: thing.looks for name, thing in config.things.items() if thing.looks}
    names = {name: f"the {name.replace('_', ' ')}" for name in config.things}
    sentence = config.instruction.format(**names | looks)
    for name, thing in config.things.items():
        if f"{{{name}}}" in config.instruction and thing.source == "fixed" and name not in looks:
            sentence += f" Nothing in the picture shows {names[name]}; the state says where it is."
    return sentence


def _check(robot: RobotConfig, things: list[str]) -> None:
    for name in robot.appearance:
        near = difflib.get_close_matches(name, things, n=1, cutoff=0.75)
        if near and name not in things:
            raise VarlError(f"{robot.source}: appearance has {name!r}, the task has {near[0]!r}; did you mean that?")
