"""Plans read off Meta-World's scripted experts: what a good vision-language model would lay down for a task.

An expert is a chain of cases, each "go to a point relative to something". Its cases are told apart by the line that
calls for the motion, over a few episodes; each refers to the thing that its target keeps a constant offset from.
"""

from __future__ import annotations

import functools
import sys
import warnings
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
from varl_common.plan import Phase, Plan

from benchmarks.advice.environments import META_WORLD_STEPS, MetaWorldEnv

EPISODES = 10
LEAST_STEPS = 2  # in an episode, for a case to count as a phase of it
TOLERANCE = (0.02, 0.06)  # m, bounds of a phase's tolerance
ENTITIES = {"object": 4, "goal": 36, "second": 11}


@dataclass
class _Step:
    case: tuple[int, bool]
    wanted: np.ndarray
    observation: np.ndarray


def expert(task: str) -> Any:
    """Meta-World's scripted policy for the task."""
    from metaworld.policies import ENV_POLICY_MAP

    policies: Any = ENV_POLICY_MAP
    return policies[task]()


@functools.cache
def expert_plan(task: str) -> Plan:
    """The plan that the task's expert follows."""
    episodes = [_record(task, seed) for seed in range(EPISODES)]
    steps = [step for episode in episodes for step in episode]
    order: dict[tuple[int, bool], list[float]] = {}
    for episode in episodes:
        for case in {step.case for step in episode}:
            at = [t for t, step in enumerate(episode) if step.case == case]
            if len(at) >= LEAST_STEPS:
                order.setdefault(case, []).append(float(np.median(at)))
    cases = [case for case, at in order.items() if len(at) >= EPISODES // 2]
    cases.sort(key=lambda case: float(np.mean(order[case])))
    return Plan(tuple(_phase(case, [s for s in steps if s.case == case], episodes) for case in cases), task)


def _record(task: str, seed: int) -> list[_Step]:
    """One episode of the expert, with the point that each of its actions went for."""
    policy = expert(task)
    module: Any = sys.modules[type(policy).__module__]
    env = MetaWorldEnv(task, seed)
    wanted: dict[str, Any] = {}
    original = module.move

    def move(from_xyz: np.ndarray, to_xyz: np.ndarray, p: float) -> np.ndarray:
        wanted["point"] = np.array(to_xyz, np.float64)
        if "line" not in wanted:
            wanted["line"] = sys._getframe(1).f_lineno
        return original(from_xyz, to_xyz, p)

    def notice(frame: FrameType, event: str, arg: Any) -> None:
        if event == "return" and frame.f_code.co_name == "_desired_pos":
            wanted["line"] = frame.f_lineno

    steps: list[_Step] = []
    module.move = move
    try:
        observation, _ = env.reset()
        for _ in range(META_WORLD_STEPS):
            wanted.clear()
            sys.setprofile(notice)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                action = policy.get_action(observation.astype(np.float64))
            sys.setprofile(None)
            steps.append(_Step((wanted["line"], bool(action[3] > 0)), wanted["point"], observation))
            observation, _, won, _, _ = env.step(action)
            if won:
                break
    finally:
        sys.setprofile(None)
        module.move = original
        env.close()
    return steps


def _phase(case: tuple[int, bool], steps: list[_Step], episodes: list[list[_Step]]) -> Phase:
    offsets = {
        name: np.array([s.wanted - s.observation[i : i + 3] for s in steps])
        for name, i in ENTITIES.items()
        if any(np.abs(s.observation[i : i + 3]).sum() > 0 for s in steps)
    }
    target = min(offsets, key=lambda name: float(offsets[name].std(axis=0).sum()))
    offset = np.median(offsets[target], axis=0)
    left = []  # how near the expert came before it went on to another case
    for episode in episodes:
        at = [t for t, step in enumerate(episode) if step.case == case]
        if at and at[-1] + 1 < len(episode):
            after = episode[at[-1] + 1]
            left.append(np.linalg.norm(after.observation[:3] - episode[at[-1]].wanted))
    tolerance = float(np.clip(1.2 * np.median(left), *TOLERANCE)) if left else TOLERANCE[0]
    x, y, z = (round(float(v), 3) for v in offset)
    return Phase(target, (x, y, z), 1.0 if case[1] else -1.0, round(tolerance, 3))
