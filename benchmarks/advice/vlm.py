"""A real advisor in the bench: any backend that config/advisor.yaml can name, asked in process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from varl_agent.advice.messages import AdviceAnswer, AdviceQuery
from varl_common.errors import VarlError
from varl_common.trajectories import trajectories
from varl_vlm_advisor.evaluation.worlds import ArmWorld, MetaWorld, World
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.service.config import load_config
from varl_vlm_advisor.types import Answers, State

from benchmarks.advice.environments import ARM_TASKS, MAZES

DEADLINE = 600.0  # s for all states of a question: the bench has time, and a small machine's model needs it


def world_of(task: str, env: gym.Env[Any, Any]) -> World:
    """``env`` as an advisor is told of it: an instruction, entities, pictures."""
    if task in MAZES:
        raise VarlError(f"there are no pictures of {task}; leave varl-vlm out")
    if task in ARM_TASKS:
        return ArmWorld(task, env.unwrapped)
    return MetaWorld(task, env.unwrapped._env)  # type: ignore[attr-defined]


class Camera(Protocol):
    """Who takes what is shown of a moment: a picture of a :class:`World`, or the moment itself."""

    def frame(self) -> Any: ...


class Filmed(gym.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """``info["frames"]`` while ``capture`` is True, as VARL wants it of an environment."""

    def __init__(self, env: gym.Env[np.ndarray, np.ndarray], camera: Camera) -> None:
        super().__init__(env)
        self.camera, self.capture = camera, False

    def reset(self, **arguments: Any) -> tuple[np.ndarray, dict[str, Any]]:
        observation, info = self.env.reset(**arguments)
        return observation, self._filmed(info)

    def step(self, action: np.ndarray) -> Any:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, self._filmed(info)

    def _filmed(self, info: dict[str, Any]) -> dict[str, Any]:
        return {**info, "frames": [self.camera.frame()]} if self.capture else info


class Vlm:
    """An :class:`~varl_agent.advice.messages.Advisor` on a backend. Counts the seconds that it takes."""

    def __init__(self, file: Path, world: World) -> None:
        """Raises VarlError where the file is wrong or the backend is not there."""
        self._advisor, self.world = Advisor(load_config(file)), world
        self.wants_frames = self._advisor.sees
        self.seconds = 0.0

    def ask(self, query: AdviceQuery) -> Future[AdviceAnswer]:
        """The answer when it is there."""
        frames: Sequence[Any] = query.frames or [None] * len(query)
        states = [
            State(
                i, query.states[i], query.actions[i], query.next_states[i], float(query.rewards[i]), tuple(shown or ())
            )
            for i, shown in enumerate(frames)
        ]
        began, answer = time.monotonic(), Future[AdviceAnswer]()

        def done(pending: Future[Answers]) -> None:
            self.seconds += time.monotonic() - began
            answer.set_result(_answer(pending.result(), query))

        self._advisor.ask(self.world.env, states, DEADLINE).add_done_callback(done)
        return answer


def _answer(given: Answers, query: AdviceQuery) -> AdviceAnswer:
    nothing = np.full(query.actions.shape[1], np.nan, np.float32)
    actions = np.stack([nothing if a.action is None else a.action for a in given.advice])
    status = np.array([int(a.status) for a in given.advice], np.uint8)
    ways = {i: a.waypoints for i, a in enumerate(given.advice) if a.waypoints is not None}
    plan = given.plan or trajectories(query.states, ways)
    return AdviceAnswer(actions, status, [a.reason for a in given.advice], plan, given.advisor)
