"""The agent's recent past, and which transitions of it an advisor is shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import spaces
from varl_common.errors import VarlError, did_you_mean

from varl_agent.advice.messages import AdviceQuery
from varl_agent.advice.observations import Observations, flat_states, stack, to_array, to_tensor, tree_map
from varl_agent.finite import not_finite

SELECTION_NAMES = ("recent", "spread", "uncertain")


@dataclass(frozen=True)
class Transition:
    """One transition of one environment, and the frames taken before its action."""

    observation: Any
    action: np.ndarray
    next_observation: Any
    reward: float
    frames: list[Any] | None


class RecentTransitions:
    """The last ``window`` transitions. ``earlier``: those to begin with."""

    def __init__(self, space: spaces.Space, window: int, earlier: Iterable[Transition] = ()) -> None:
        self.space = space
        self._transitions: deque[Transition] = deque(earlier, maxlen=window)

    def __len__(self) -> int:
        return len(self._transitions)

    def __iter__(self) -> Any:
        return iter(self._transitions)

    def add(self, transition: Transition) -> None:
        """Remember a transition, if it is finite; the oldest is forgotten."""
        before, after = transition.observation, transition.next_observation
        parts = {"before": before, "action": transition.action, "after": after, "reward": transition.reward}
        if not not_finite("transition", parts):
            self._transitions.append(transition)

    def drop_frames(self) -> None:
        """Forget the frames, many times as large as the rest, once no question can show them any more."""
        self._transitions = self._without_frames()

    def query(
        self, step: int, n: int, selection: str, uncertainty: Callable[[Observations], np.ndarray]
    ) -> tuple[Observations, AdviceQuery]:
        """Pick n transitions (fewer where fewer are remembered): their observations, and the question about them.

        Args:
            selection: "recent": the newest; "spread": evenly spaced in time; "uncertain": those at which the critics
                are farthest apart.
            uncertainty: gives (m,) for m observations; called for "uncertain" alone.
        """
        transitions = list(self._transitions)
        n = min(n, len(transitions))
        if selection == "spread":
            picked = np.linspace(0, len(transitions) - 1, n).round().astype(int)
        elif selection == "uncertain" and n:
            doubt = uncertainty(stack([t.observation for t in transitions]))
            picked = np.sort(np.argsort(doubt, kind="stable")[len(transitions) - n :])
        else:
            picked = np.arange(len(transitions) - n, len(transitions))
        chosen = [transitions[i] for i in picked]
        query = AdviceQuery(
            step,
            self._flat([t.observation for t in chosen]),
            np.array([t.action for t in chosen], np.float32),
            self._flat([t.next_observation for t in chosen]),
            np.array([t.reward for t in chosen], np.float32),
            [t.frames for t in chosen],
        )
        return stack([t.observation for t in chosen]), query

    def state_dict(self) -> dict[str, Any]:
        """The transitions as tensors, without their frames."""
        transitions = list(self._transitions)
        columns = {
            "observations": stack([t.observation for t in transitions]),
            "next_observations": stack([t.next_observation for t in transitions]),
            "actions": stack([t.action for t in transitions]),
        }
        state = {name: tree_map(value, to_tensor) for name, value in columns.items()}
        return {**state, "rewards": [t.reward for t in transitions]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        columns = {name: tree_map(state[name], to_array) for name in ("observations", "next_observations", "actions")}
        self._transitions.clear()
        for i, reward in enumerate(state["rewards"]):
            row = {name: tree_map(value, lambda array: array[i].copy()) for name, value in columns.items()}  # noqa: B023
            self.add(Transition(row["observations"], row["actions"], row["next_observations"], reward, None))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_transitions": self._without_frames()}

    def _without_frames(self) -> deque[Transition]:
        return deque((replace(t, frames=None) for t in self._transitions), maxlen=self._transitions.maxlen)

    def _flat(self, observations: list[Any]) -> np.ndarray:
        return flat_states(self.space, stack(observations))


def check_selection(name: str) -> None:
    """Refuse what is no selection.

    Raises:
        VarlError: it is none.
    """
    if name not in SELECTION_NAMES:
        raise VarlError(f"unknown selection {name!r}; {did_you_mean(name, list(SELECTION_NAMES))}")
