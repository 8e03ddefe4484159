"""What a gradient step learns from: a batch of the replay, and what the actor is guided by beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch as th
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.utils import obs_as_tensor

from varl_agent.advice.observations import flat_states
from varl_agent.replay.success_index import gather
from varl_agent.sac.batches import Batch, batches_at_once, in_turn, joined, shuffled, split, split_rows
from varl_agent.sac.guidance import GuidanceBatch

# One's own actions are cloned inside +-0.98: the likelihood of a tanh-Gaussian diverges at 1, and atanh(0.98) = 2.3 is
# where a policy that acts at full speed has its mean.
IMITATION_LIMIT = 0.98


class Sampler:
    """Draws for ``model``, a VARL.

    Attributes:
        own: how many rows of each batch drawn last, its last ones, are of successful episodes.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.own = 0

    def batches(self, count: int, batch_size: int) -> Iterator[tuple[Batch, GuidanceBatch | None]]:
        """For ``count`` updates each a batch of the replay, and what the actor is guided by beside it."""

        def draw(n: int) -> list[tuple[Batch, GuidanceBatch | None]]:
            drawn = self.draw(n, batch_size)
            return list(zip(drawn, self.guidance(drawn), strict=True))

        return in_turn(draw, count, batches_at_once(self.model.observation_space, batch_size))

    def draw(self, n: int, batch_size: int) -> list[Batch]:
        """n batches of the replay, ``success_fraction`` of each from successful episodes once there are any."""
        model = self.model
        successes = min(round(model.success_fraction * batch_size), batch_size - 1) if len(model.successes) else 0
        drawn = self._sample(n * (batch_size - successes))
        beside = self._successes(n * successes) if successes else None
        self.own = successes if beside is not None else 0
        if successes == 0:
            return split(drawn, n)
        if beside is None:
            beside = self._sample(n * successes)
        both = zip(split(drawn, n), split(beside, n), strict=True)
        return [joined(*pair) for pair in both]

    def guidance(self, batches: list[Batch]) -> list[GuidanceBatch | None]:
        """What to be guided by beside each of these batches of the replay; None: nothing."""
        model = self.model
        factor = model.advice_factor
        heeded = factor > 0.0 and model.guidance_weight > 0.0
        if heeded and (pairs := self._advised(batches)):
            return [GuidanceBatch(*pair, model.guidance_weight * factor, factor) for pair in pairs]
        refuted = heeded and model.guidance.plans
        alone = factor == 0.0 or model.advisor is None or refuted
        if alone and model.imitation_weight > 0.0 and (imitated := self._imitated(len(batches))):
            return [GuidanceBatch(*pair, model.imitation_weight, 0.0) for pair in imitated]
        model.guidance_metrics.clear()  # what was seen last is no longer so
        return [None] * len(batches)

    def _advised(self, batches: list[Batch]) -> list[tuple[Any, th.Tensor]]:
        """For each batch observations and advised actions: by plans those of the batch itself, and where an episode
        succeeded what was done in it, else of G; empty where nothing guides."""
        model, n = self.model, len(batches)
        if model.guidance.plans:
            label = model.guidance.labeller(model.consultation.scene_of_plans())
            if label is None:
                return []
            labels = label(np.concatenate([self.states(batch.observations) for batch in batches]))
            advised = split_rows(th.as_tensor(labels, device=model.device), n)
            return [(batch.observations, self._labelled(batch, of)) for batch, of in zip(batches, advised, strict=True)]
        if not model.guidance.used:
            return []
        drawn, actions = model.guidance.sample(n * model.guidance_batch_size)
        drawn = model.replay_buffer._normalize_obs(drawn, model._vec_normalize_env)
        observations = split_rows(obs_as_tensor(drawn, model.device), n)
        return list(zip(observations, split_rows(th.as_tensor(actions, device=model.device), n), strict=True))

    def _labelled(self, batch: Batch, advised: th.Tensor) -> th.Tensor:
        """The advised actions, but where an episode succeeded its own: a plan may be a little off, what succeeded is
        not."""
        others = len(advised) - self.own if self.model.imitation_weight > 0.0 else len(advised)
        return th.cat([advised[:others], _to_imitate(batch.actions[others:])])

    def _imitated(self, n: int) -> list[tuple[Any, th.Tensor]]:
        """n times observations and actions of one's own successful episodes; empty while there are none."""
        rows = self._successes(n * self.model.guidance_batch_size)
        if rows is None:
            return []
        return list(zip(split_rows(rows.observations, n), split_rows(_to_imitate(rows.actions), n), strict=True))

    def succeeded(self, n: int) -> tuple[np.ndarray, np.ndarray] | None:
        """n states (n, obs_dim) in the environment's units and actions (n, act_dim) of successful episodes; None while
        there are none."""
        rows = self._successes(n)
        if rows is None:
            return None
        return self.states(rows.observations), rows.actions.cpu().numpy()

    def states(self, observations: Any) -> np.ndarray:
        """(n, obs_dim) of a batch of observations as the policy takes them, in the environment's own units."""
        model = self.model
        arrays = (
            {key: value.cpu().numpy() for key, value in observations.items()}
            if isinstance(observations, dict)
            else observations.cpu().numpy()
        )
        if model._vec_normalize_env is not None:
            arrays = model._vec_normalize_env.unnormalize_obs(arrays)
        return flat_states(model.observation_space, arrays)

    def _sample(self, n: int) -> Batch:
        replay = self.model.replay_buffer
        drawn = replay.sample(n, env=self.model._vec_normalize_env)
        # Hindsight gives what it has relabelled after all the rest; whoever splits the rows wants them mixed.
        return shuffled(drawn) if isinstance(replay, HerReplayBuffer) else drawn

    def _successes(self, n: int) -> Batch | None:
        model = self.model
        rows, envs = model.successes.sample(n)
        return None if len(rows) == 0 else gather(model.replay_buffer, rows, envs, model._vec_normalize_env)


def _to_imitate(actions: th.Tensor) -> th.Tensor:
    return actions.clamp(-IMITATION_LIMIT, IMITATION_LIMIT)
