"""Demonstrations from a LeRobot dataset into a replay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from varl_common.errors import VarlError

from varl_agent.datasets.episodes import Episode
from varl_agent.datasets.lerobot import INFO, open_lerobot
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.layout import Tag
from varl_agent.replay.minari import ROUNDING, add_episode
from varl_agent.replay.success_index import SuccessIndex


def is_lerobot(folder: str | Path) -> bool:
    """Whether ``folder`` is a LeRobot dataset."""
    return (Path(folder) / INFO).is_file()


def import_lerobot(
    folder: str | Path,
    buffer: PersistentReplayBuffer,
    state_names: tuple[str, ...],
    action_names: tuple[str, ...],
    successes: SuccessIndex,
) -> int:
    """Add the episodes of a dataset to ``buffer`` as demonstrations; returns how many transitions that were.

    Its frames hold no observation after the last action: where the task did not end the episode there, that action is
    left out.

    Raises:
        VarlError: it is no such dataset, its numbers are others than this task's, an action is beyond [-1, 1], or the
            disk is full. Nothing was added then.
    """
    source, episodes = open_lerobot(Path(folder))
    for what, theirs, mine in (
        ("states", source.state_names, state_names),
        ("actions", source.action_names, action_names),
    ):
        if theirs != mine:
            raise VarlError(
                f"{folder} has {what} of {len(theirs)} ({', '.join(theirs)}), this task {len(mine)} "
                f"({', '.join(mine)}); record with this task"
            )
    if buffer.n_envs != 1 or buffer.observation_keys != ("",):
        raise VarlError("a LeRobot dataset goes into a replay of one arm that is seen by its state; import it there")
    count, index, done = buffer.store.count, successes.state_dict(), False
    try:
        added = sum(_add(folder, number, episode, buffer, successes) for number, episode in enumerate(episodes))
        done = True
    finally:
        if not done:
            buffer.load_state_dict({"count": count})
            successes.load_state_dict(index)
    return added


def _add(
    folder: str | Path, number: int, episode: Episode, buffer: PersistentReplayBuffer, successes: SuccessIndex
) -> int:
    beyond = np.abs(episode.actions).max(initial=0.0)
    if beyond > 1 + ROUNDING:
        raise VarlError(
            f"{folder}: episode {number} has an action of {beyond:g}; expected -1 to 1, as the env node takes"
        )
    n = len(episode) if episode.success else len(episode) - 1
    if n < 1:
        return 0
    last = np.arange(n) == n - 1
    after = episode.states[n : n + 1] if n < len(episode) else episode.states[-1:]  # a solved task has no next state
    parts = {
        "actions": np.clip(episode.actions[:n], -1, 1),
        "rewards": episode.rewards[:n],
        "terminations": last & episode.success,
        "truncations": last & (not episode.success),
    }
    seen = {"": np.concatenate([episode.states[:n], after])}
    return add_episode(buffer, successes, seen, parts, Tag.DEMONSTRATION)
