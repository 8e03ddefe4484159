"""What a person shows, recorded as they hold the arm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from varl_agent.finite import not_finite
from varl_agent.replay.actions import scale_actions
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.vec_env.parallel_env import begin_episode, episode_seed

DEMONSTRATION_STREAM = 2_000_000  # seeds of demonstrated episodes; training uses an environment's index
_OPEN = -1.0  # the gripper's action


def record(
    env: gym.Env[NDArray[np.float32], NDArray[np.float32]],
    buffer: PersistentReplayBuffer,
    episodes: int,
    seed: int,
    say: Callable[[str], object],
    stopping: Callable[[], bool],
) -> None:
    """Record episodes in which a person holds the arm into ``buffer``, until ``episodes`` of them have succeeded.

    An episode is kept from the first action of the person on, and only where it succeeds and every number in it is
    finite; whatever ends the recording, ``buffer`` holds whole episodes. While nobody holds the arm it stands still.
    """
    solved = number = 0
    while solved < episodes and not stopping():
        observation, _ = begin_episode(env, episode_seed(seed, DEMONSTRATION_STREAM, number))
        number += 1
        begin, success = buffer.state_dict(), False
        try:
            success = _episode(env, buffer, observation, stopping)
        finally:
            length = buffer.state_dict()["count"] - begin["count"]
            if not success:
                buffer.load_state_dict(begin)
        solved += success and length > 0
        if length:
            say(
                f"episode {number}: {'kept' if success else 'not solved, dropped'}, {length} steps; {solved}/{episodes}"
            )


def _episode(
    env: gym.Env[NDArray[np.float32], NDArray[np.float32]],
    buffer: PersistentReplayBuffer,
    observation: NDArray[np.float32],
    stopping: Callable[[], bool],
) -> bool:
    """One episode, recorded from the first action of the person on; whether it succeeded."""
    shown = ended = success = False
    assert isinstance(env.action_space, spaces.Box)
    still = np.zeros(env.action_space.shape or (), np.float32)
    still[3:] = _OPEN
    while not ended and not stopping():
        after, reward, terminated, truncated, info = env.step(still)
        executed, ended = info["executed_action"], terminated or truncated
        still[3:] = executed[3:]  # the gripper stays as it was left
        shown |= info["intervened"]
        if any(not_finite("", part) for part in (after, executed, reward)):
            return False
        if shown:
            row: dict[str, Any] = {"TimeLimit.truncated": truncated and not terminated, **info}
            action = np.clip(scale_actions(env.action_space, executed[None]), -1, 1)
            buffer.add(observation, after, action, np.array([reward]), np.array([ended]), [row])
        observation, success = after, success or bool(info["is_success"])
    return success
