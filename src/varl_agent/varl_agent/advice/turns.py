"""Whose turn an episode is: the policy's or, while advice guides, that of what stands trial (:mod:`.plan_trials`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from varl_agent.advice.observations import flat_states
from varl_agent.advice.plan_trials import choose, credit, plans_of, share, stages_done, takes_turn
from varl_agent.finite import zero_where_not_finite


class Turns:
    """Of ``model``, a VARL: in a share of the episodes, ``model.act`` at most, plans act, spread evenly."""

    def __init__(self, model: Any) -> None:
        self.model = model
        # How much of a turn the plans have coming in each environment; arms that end together take turns.
        self.due = [i * model.act % 1.0 for i in range(model.n_envs)]
        self.restart()

    def restart(self) -> None:
        """All environments were reset: the policy begins."""
        self.tried: list[int | None] = [None] * self.model.n_envs  # what acts in each environment; None: the policy
        self.stages = [0] * self.model.n_envs  # how many, of what acts, have ever lain behind in the running episode

    def state_dict(self) -> dict[str, Any]:
        """Whose the running episodes are."""
        return {"tried": list(self.tried), "stages": list(self.stages), "due": list(self.due)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        self.tried = list(state["tried"])
        # Those that were saved before these were kept have none.
        self.stages, self.due = list(state.get("stages", self.stages)), list(state.get("due", self.due))

    def with_advice(self, actions: np.ndarray) -> np.ndarray:
        """(n_envs, ...) actions in [-1, 1] that the policy chose, and the plans' in their place where these act."""
        model, acting = self.model, {i: tried for i, tried in enumerate(self.tried) if tried is not None}
        if not acting or not model.guided:
            return actions
        scene = model.consultation.scene_of_plans()
        observed = model._last_obs if model._vec_normalize_env is None else model._last_original_obs
        states = flat_states(model.observation_space, zero_where_not_finite(observed))
        actions = actions.copy()
        for i, tried in acting.items():
            advised = model.guidance.label(states[i : i + 1], scene, plans_of(model.guidance, tried))[0]
            actions[i] = advised.reshape(actions[i].shape)
            self.stages[i] = max(self.stages[i], stages_done(model.guidance, tried, states[i], scene))
        return actions

    def share(self) -> float:
        """The share of episodes in which plans are to act while advice guides in full."""
        return share(self.model.guidance, self.model.act)

    def note(self, dones: np.ndarray, infos: list[dict[str, Any]]) -> None:
        """One step of each environment, before it is stored: ``info["advised"]`` is set where a plan acted, and where
        an episode has ended what acted is credited and whose the next one is settled. Where a person takes over, the
        step is another environment's, or advice has been let go, the episode is the plans' no longer."""
        over = [i for i in np.flatnonzero(dones).tolist() if "stands_in" not in infos[i]]
        if not self.model.guided:
            self.restart()
            return
        for i, info in enumerate(infos):
            if info.get("intervened") or "stands_in" in info:
                self.tried[i] = None
            elif self.tried[i] is not None:
                info["advised"] = True
        model, guidance = self.model, self.model.guidance
        if model.act == 0.0 or not guidance.plans:
            return
        succeeded = model.successes.succeeded(infos)
        for i in over:
            if (tried := self.tried[i]) is not None:
                credit(guidance, tried, succeeded[i], self.stages[i])
            self.stages[i] = 0
            self.due[i] += self.share() * model.advice_factor
            is_theirs = self.due[i] > 1.0 - 1e-9  # ten tenths are a little less than 1
            self.due[i] -= is_theirs
            self.tried[i] = takes_turn(guidance) if is_theirs else None
        if over:
            choose(guidance)
            self.tried = [tried if tried is None or guidance.knows(tried) else None for tried in self.tried]
