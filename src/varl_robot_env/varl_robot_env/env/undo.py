"""What undoes an episode on an arm: places on the way back, and another task, each through the safety filter."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError
from varl_common.plan import SHUT, Plan
from varl_common.task_plans import PLANS

from varl_robot_env.arm import ArmError
from varl_robot_env.tasks.situation import TOOL, Situation
from varl_robot_env.tasks.task import Task, load_task
from varl_robot_env.types import Float32, Pose

_PERIODS = 200  # on a way back, at most
_LETS_GO = 2.0  # s at most: what a gripper takes to open, its action and all

Move = Callable[[Float32], Situation]
Describe = Callable[[Task], tuple[EnvDescription, Callable[[Situation], Float32]]]


class Undo:
    """The scripted part of a task's reset; it may be empty."""

    def __init__(self, task: Task, describe: Describe) -> None:
        """``describe``: what a task observes on this robot.

        Raises:
            VarlError: a place names what the task does not observe, or the second task cannot undo the first.
        """
        reset = task.config.reset
        self._task, self._describe = task, describe
        self._path = Plan(tuple(place.phase() for place in reset.path)) if reset.path else None
        self._other = load_task(reset.task) if reset.task else None
        if self._path:
            self._path.check(describe(task)[0])
        if self._other:
            _check(task, self._other)

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to do."""
        return self._path is not None or self._other is not None

    def run(self, situation: Situation, move: Move, rng: np.random.Generator) -> None:
        """Act by ``move``, which lets a control period pass, until all is undone.

        Raises:
            ArmError: it took too long; a person must see to it.
        """
        if self._other is not None:
            situation = self._solve(self._other, situation, move, rng)
        if self._path is not None:
            scene, observed = self._describe(self._task)
            if self._path.phases[0].gripper < 0 and self._task.grasps:
                situation = self._let_go(situation, move, scene)
            last = len(self._path.phases) - 1
            for _ in range(_PERIODS):
                states = observed(_ahead(situation, scene.control_period))[None]
                place, tool = self._path.places(states, scene)[last, 0], situation.position(TOOL)
                if np.linalg.norm(place - tool) <= self._path.phases[last].tolerance:
                    return
                situation = move(self._path.actions(states, scene)[0])
            raise ArmError(f"the tool did not come along the path of {self._task.name}'s reset; look what holds it")

    def _let_go(self, situation: Situation, move: Move, scene: EnvDescription) -> Situation:
        """Open the gripper where it is: what it holds would come along."""
        still = np.zeros(len(scene.action_names), np.float32)
        still[list(scene.action_names).index("gripper")] = -1.0
        for _ in range(math.ceil(_LETS_GO / scene.control_period)):
            if situation.opening is not None and situation.opening >= SHUT:
                break
            situation = move(still)
        return situation

    def _solve(self, other: Task, situation: Situation, move: Move, rng: np.random.Generator) -> Situation:
        scene, observed = self._describe(other)
        seen = {name: pose for name, pose in situation.poses.items() if name in other.seen}
        places: dict[str, Pose] = other.sample(rng, situation.poses[TOOL], seen)
        fixed = {name: pose for name, pose in places.items() if name not in seen}
        begin = {**situation.poses, **fixed}

        def as_other(now: Situation) -> Situation:
            return now.among(fixed, begin)

        other.begin(as_other(situation))
        for _ in range(other.config.max_episode_steps):
            states = observed(_ahead(as_other(situation), scene.control_period))[None]
            situation = move(PLANS[other.name].actions(states, scene)[0])
            if other.is_success(as_other(situation)):
                return situation
        raise ArmError(f"{other.name} did not undo {self._task.name}; put things back by hand, then reset")


def _ahead(now: Situation, period: float) -> Situation:
    """``now``, but with the tool where it is going to be in a control period, s.

    A plan asks for the way that is left. By the clock the arm is a period behind what it is told, and asked so it
    swings about each place: into what it should not touch, or for so long that the reset is given up.
    """
    tool = np.array(now.poses[TOOL])
    tool[:3] += period * now.velocity
    return replace(now, poses={**now.poses, TOOL: tool})


def _check(task: Task, other: Task) -> None:
    source = f"task {task.name}: reset: {other.name} cannot undo it"
    if other.config.act != task.config.act:
        raise VarlError(f"{source}, as it acts by {list(other.config.act)}, not {list(task.config.act)}")
    if missing := set(other.seen) - set(task.seen):
        raise VarlError(f"{source}, as it needs {', '.join(sorted(missing))}, which the first does not see")
    if other.name not in PLANS:
        raise VarlError(f"{source}, as there is no plan for it; known: {', '.join(PLANS)}")
