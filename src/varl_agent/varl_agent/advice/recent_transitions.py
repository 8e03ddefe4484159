"""The agent's recent past, and which of its moments an advisor is shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from varl_common.config import did_you_mean
from varl_common.errors import VarlError

from varl_agent.advice.guidance_buffer import Observations, to_array, to_tensor, tree_map
from varl_agent.advice.messages import AdviceQuery
from varl_agent.finite import not_finite

SELECTION_NAMES = ("recent", "spread", "uncertain")


@dataclass(frozen=True)
class Moment:
    """One transition of one environment, and the frames taken before its action."""

    observation: Any
    action: np.ndarray
    next_observation: Any
    reward: float
    frames: list[Any] | None


class Moments:
    """The last ``window`` moments.

    recent: the newest n of them; spread: n evenly spaced in time; uncertain: the n of which the critics are least sure
    (largest difference between them).
    """

    def __init__(self, space: spaces.Space, window: int, selection: str) -> None:
        if selection not in SELECTION_NAMES:
            raise VarlError(f"unknown selection {selection!r}; {did_you_mean(selection, list(SELECTION_NAMES))}")
        self.space = space
        self.selection = selection
        self._moments: deque[Moment] = deque(maxlen=window)

    def __len__(self) -> int:
        return len(self._moments)

    def add(self, moment: Moment) -> None:
        """Remember a moment that is finite; the oldest is forgotten."""
        parts = {"before": moment.observation, "action": moment.action, "after": moment.next_observation}
        if not not_finite("moment", parts | {"reward": moment.reward}):
            self._moments.append(moment)

    def query(
        self, step: int, n: int, uncertainty: Callable[[Observations], np.ndarray]
    ) -> tuple[Observations, AdviceQuery]:
        """Pick n moments (fewer where fewer are remembered): their observations and the question about them.

        ``uncertainty`` gives (m,) for m observations; it is called for the selection "uncertain" alone.
        """
        moments = list(self._moments)
        n = min(n, len(moments))
        if self.selection == "spread":
            picked = np.linspace(0, len(moments) - 1, n).round().astype(int)
        elif self.selection == "uncertain" and n:
            doubt = uncertainty(stack([m.observation for m in moments]))
            picked = np.sort(np.argsort(doubt, kind="stable")[len(moments) - n :])
        else:
            picked = np.arange(len(moments) - n, len(moments))
        chosen = [moments[i] for i in picked]
        query = AdviceQuery(
            step,
            self._flat([m.observation for m in chosen]),
            np.array([m.action for m in chosen], np.float32),
            self._flat([m.next_observation for m in chosen]),
            np.array([m.reward for m in chosen], np.float32),
            [m.frames for m in chosen],
        )
        return stack([m.observation for m in chosen]), query

    def state_dict(self) -> dict[str, Any]:
        """The moments as tensors, without their frames."""
        moments = list(self._moments)
        columns = {
            "observations": stack([m.observation for m in moments]),
            "next_observations": stack([m.next_observation for m in moments]),
            "actions": stack([m.action for m in moments]),
        }
        state = {name: tree_map(value, to_tensor) for name, value in columns.items()}
        return {**state, "rewards": [m.reward for m in moments]}

    def load_state_dict(self, state: dict[str, Any], strict: bool = True) -> None:
        """Inverse of :meth:`state_dict` (``strict`` is for torch's signature)."""
        columns = {name: tree_map(state[name], to_array) for name in ("observations", "next_observations", "actions")}
        self._moments.clear()
        for i, reward in enumerate(state["rewards"]):
            row = {name: tree_map(value, lambda array: array[i].copy()) for name, value in columns.items()}  # noqa: B023
            self.add(Moment(row["observations"], row["actions"], row["next_observations"], reward, None))

    def _flat(self, observations: list[Any]) -> np.ndarray:
        return np.array([spaces.flatten(self.space, o) for o in observations], np.float32)


def flat_states(space: spaces.Space, observations: Observations) -> np.ndarray:
    """(n, obs_dim) float32 of a batch of observations, as ``gymnasium.spaces.flatten`` orders a Dict."""
    if not isinstance(observations, dict):
        return np.asarray(observations, np.float32).reshape(len(observations), -1)
    assert isinstance(space, spaces.Dict)
    parts = [np.asarray(observations[key], np.float32) for key in space.spaces]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def stack(observations: list[Any]) -> Observations:
    """Single observations as a batch."""
    if observations and isinstance(observations[0], dict):
        return {key: np.stack([o[key] for o in observations]) for key in observations[0]}
    return np.stack(observations) if observations else np.empty((0,), np.float32)
