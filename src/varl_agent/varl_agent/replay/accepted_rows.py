"""Only what may be learned from reaches a replay: transitions that are finite, and that took place.

One number that is not finite, once learned from, ends a run for good. An arm that was stopped did nothing of what was
asked, and one that did not follow had done nothing for a while before it was noticed.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from varl_agent.finite import not_finite
from varl_agent.replay.stand_ins import replace_rows
from varl_agent.replay.success_index import SuccessIndex
from varl_agent.vec_env.normalization import AcceptedStatistics


class AcceptedRows:
    """Adds rows to a replay and to the index of its successes, with actions in -1..1, without those not to learn from.

    These are transitions that are not finite, which are told of by name; that of a step in which the arm was stopped
    (``info["stopped"]``); and the newest ``info["void_steps"]`` of an episode, which were not carried out: the present
    one among them, unless it is of a stop. ``info["void_before"]`` is the same of the episode that ended before: a
    robot that resets by itself finds out late.

    The episode that it lies in ends before it. Of a single environment the row is left out. Of several, another one's
    transition stands in its place, as for a robot that is missing (:mod:`varl_agent.vec_env.fleet`), so that those of
    the others are kept. In the place of a row that is stored already stands the one before it, a second time.

    Args:
        replay: where rows are stored.
        successes: the index of its successes.
        normalize: the VecNormalize in use, whose statistics are kept to what was accepted; None: there is none.
    """

    def __init__(self, replay: ReplayBuffer, successes: SuccessIndex, normalize: VecNormalize | None = None) -> None:
        self._replay = replay
        self._successes = successes
        self._statistics = AcceptedStatistics(normalize) if normalize is not None else None
        self._ended: dict[int, tuple[int, int]] = {}  # by environment: its last whole episode's end, and its rows

    def add(
        self,
        obs: Any,
        next_obs: Any,
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """As Stable-Baselines3's ``ReplayBuffer.add``.

        Raises:
            VarlError: a replay on disk has no more room.
        """
        row = {"observation": obs, "next_observation": next_obs, "action": action, "reward": reward}
        broken = broken_transitions(row, len(infos))
        if broken:
            words = "; ".join(f"environment {i}: {what}" for i, what in broken.items())
            warnings.warn(
                f"a transition that is not finite is left out ({words}); check that sensor, or the environment's step",
                stacklevel=2,
            )
        for i, info in enumerate(infos):
            self._replace_void_before(i, info)
        void = [i for i, info in enumerate(infos) if "stopped" in info or info.get("void_steps")]
        out = [i for i in range(len(infos)) if i in broken or i in void]
        if self._statistics is not None:
            self._statistics.reject() if out else self._statistics.accept()
        if out:
            for i in void:
                self._replace_void(i, infos[i])
            end_episodes(self._replay, out)
            self._successes.break_off([i for i in out if done[i]], infos)
            whole = [i for i in range(len(infos)) if i not in out]
            if not whole:
                self._successes.restart()
                return
            donors = np.array([whole[0] if i in out else i for i in range(len(infos))])
            row = {name: _taken(part, donors) for name, part in row.items()}
            ends = {"stands_in": whole[0], "TimeLimit.truncated": True}
            infos = [infos[donor] | (ends if i in out else {}) for i, donor in enumerate(donors)]
            done = np.array([i in out or ended for i, ended in enumerate(done)])
        for i in range(len(infos)):
            if done[i] and "stands_in" not in infos[i]:
                begun_before = 0 if infos[i].get("begins_episode") else self._successes.running(i)
                self._ended[i] = self._successes.time + 1, begun_before + 1
        action = np.clip(row["action"], -1, 1)  # what an environment says it executed may lie beyond its own bounds
        self._replay.add(row["observation"], row["next_observation"], action, row["reward"], done, infos)
        self._successes.add(done, infos)

    def _replace_void(self, env: int, info: dict[str, Any]) -> None:
        """Replace those stored rows of the environment's running episode that were not carried out."""
        stored = info.get("void_steps", 0) - ("stopped" not in info)
        running = 0 if "stands_in" in info else self._successes.running(env)
        if min(stored, running) > 0:
            replace_rows(self._replay, env, min(stored, running))
            self._successes.follow(self._replay)

    def _replace_void_before(self, env: int, info: dict[str, Any]) -> None:
        """The same of the episode before, after which other environments' rows may have stood in."""
        end, rows = self._ended.get(env, (0, 0))
        after = self._successes.time - end
        count = min(info.get("void_before", 0), rows, self._replay.size() - after)
        if count > 0:
            replace_rows(self._replay, env, count, after)
            self._successes.forget(env, end)
            self._successes.follow(self._replay)


def broken_transitions(row: dict[str, Any], n_envs: int) -> dict[int, str]:
    """The environments whose transitions hold a number that is not finite, with words that name it.

    ``row``: arrays (n_envs, ...), or dicts of such, by name.
    """
    if not any(not_finite(name, part) for name, part in row.items()):
        return {}
    found = {i: [not_finite(name, _taken(part, i)) for name, part in row.items()] for i in range(n_envs)}
    return {i: next(filter(None, words)) for i, words in found.items() if any(words)}


def end_episodes(replay: ReplayBuffer, envs: list[int]) -> None:
    """Mark the newest row of these environments as the last of its episode, cut by time: what is stored next does not
    continue it. A replay on disk needs no such mark: each of its rows holds a whole transition."""
    if not isinstance(replay.dones, np.ndarray) or not replay.size():
        return
    if isinstance(replay, HerReplayBuffer):
        replay.truncate_last_trajectory()
        return
    last = replay.pos - 1
    running = [i for i in envs if not replay.dones[last, i]]
    replay.dones[last, running] = 1
    if replay.handle_timeout_termination:
        replay.timeouts[last, running] = 1


def _taken(part: Any, envs: Any) -> Any:
    return {key: value[envs] for key, value in part.items()} if isinstance(part, dict) else np.asarray(part)[envs]
