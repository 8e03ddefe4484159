"""What VARL is compared with. Each is the same SAC with one thing changed, so that it shares every setting."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch as th
import torch.nn.functional as F
from stable_baselines3.common.buffers import ReplayBuffer
from torch import nn
from varl_agent.advice.turns import Turns
from varl_agent.sac.batches import Batch, joined, split
from varl_agent.sac.guidance import GuidanceBatch
from varl_agent.sac.sampler import Sampler
from varl_agent.sac.varl import VARL

from benchmarks.advice.advisors import Labels


class DemonstrationSampler(Sampler):
    """Draws half of every batch from demonstrations."""

    def draw(self, n: int, batch_size: int) -> list[Batch]:
        half = batch_size // 2
        shown = split(self.model.demonstrations.sample(n * half), n)
        return [joined(*both) for both in zip(super().draw(n, batch_size - half), shown, strict=True)]


class Demonstrated(VARL):
    """SAC with demonstrations, half of every batch (RLPD; Ball et al. 2023)."""

    sampler_class = DemonstrationSampler
    demonstrations: ReplayBuffer
    executor: Labels
    asked_queries = 0

    def demonstrate(self, env: gym.Env[Any, Any], advisor: Labels, states: int) -> None:
        """Fill the demonstrations with ``states`` transitions in which the advisor acts, its errors included."""
        self.executor = advisor
        assert self.replay_buffer is not None
        kind, kwargs = type(self.replay_buffer), self.replay_buffer_kwargs  # with n-step targets, if so set
        self.demonstrations = kind(states, self.observation_space, self.action_space, self.device, **kwargs)
        observation, _ = env.reset()
        for step in range(states):
            action = advisor.acted(observation, step)
            following, reward, terminated, truncated, _ = env.step(action)
            info = {"TimeLimit.truncated": truncated and not terminated}
            ended = np.array([terminated or truncated])
            self.demonstrations.add(observation, following, action, np.array([reward]), ended, [info])
            observation = env.reset()[0] if ended[0] else following

    @property
    def asked_labels(self) -> int:
        """States that the advisor labelled, by acting in them."""
        return self.demonstrations.size()


class Executing(VARL):
    """SAC that lets the advisor act: for ``states_per_query`` steps from each trigger step on. Nothing is cloned."""

    executor: Labels
    asked_labels = 0

    @property
    def asked_queries(self) -> int:
        """Times that the advisor was given the arm."""
        return sum(step <= self.num_timesteps for step in self.trigger)  # type: ignore[union-attr]

    def advised_action(self, observation: np.ndarray) -> np.ndarray | None:
        """(act_dim,) what the advisor does now; None: it is not its turn."""
        began = [step for step in self.trigger if step <= self.num_timesteps < step + self.states_per_query]  # type: ignore[union-attr]
        if not began:
            return None
        self.asked_labels += 1
        return self.executor.acted(observation, self.num_timesteps)


class Unguided(Sampler):
    """Guides the actor by its successful episodes alone, as VARL's is guided once it has no advice."""

    def guidance(self, batches: list[Batch]) -> list[GuidanceBatch | None]:
        weight = self.model.imitation_weight
        imitated = self._imitated(len(batches)) if weight > 0.0 else []
        return [GuidanceBatch(*pair, weight, 0.0) for pair in imitated] or [None] * len(batches)


class ExecutingPlans(VARL):
    """VARL whose plans act in ``act`` of the episodes, for as long as they would guide, and do not label states."""

    sampler_class = Unguided


class Proposed(VARL):
    """Base of those that act by plans when they are examined, too."""

    sampler_class = Unguided

    def advised(self, observations: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
        """(n, act_dim) what the plans that guide say in (n, obs_dim) observations; ``otherwise`` where none does."""
        scene = self.consultation.scene
        label = self.guidance.labeller(scene) if scene else None
        return label(observations) if label else otherwise


class EveryTurn(Turns):
    """Each episode is that of what stands trial, however much has failed, and counts as the method's own."""

    def share(self) -> float:
        return 1.0

    def note(self, dones: np.ndarray, infos: list[dict[str, Any]]) -> None:
        super().note(dones, infos)
        for info in infos:
            info.pop("advised", None)


class PlanAlone(Proposed):
    """The plans stand trial as VARL's do, and act in all of the episodes; nothing is learned but which is best."""

    turns_class: ClassVar[type[Turns]] = EveryTurn

    def __call__(self, observation: np.ndarray, deterministic: bool) -> np.ndarray:
        """(obs_dim,) observation to (act_dim,) action, as it is examined."""
        return self.advised(observation[None], np.zeros((1, *self.action_space.shape), np.float32))[0]  # type: ignore[misc]


class Preferred(Turns):
    """Of the policy's action and the plans', that which the critics prefer acts."""

    def with_advice(self, actions: np.ndarray) -> np.ndarray:
        return self.model.preferred(np.asarray(self.model._last_obs), actions)


class ProposalSampler(Unguided):
    """The value of the next state is that of the plans' action where the target critics prefer it to the policy's."""

    def draw(self, n: int, batch_size: int) -> list[Batch]:
        return [self.model.bootstrapped(batch) for batch in super().draw(n, batch_size)]


class Proposing(Proposed):
    """SAC to which plans propose actions (IBRL; Hu et al. 2023), in acting, as it is examined, and in the targets."""

    sampler_class = ProposalSampler
    turns_class: ClassVar[type[Turns]] = Preferred

    def __call__(self, observation: np.ndarray, deterministic: bool) -> np.ndarray:
        """(obs_dim,) observation to (act_dim,) action, as it is examined."""
        own, _ = self.predict(observation, deterministic=deterministic)
        return self.preferred(observation[None], own[None])[0]

    def preferred(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """(n, act_dim) of the policy's actions in (n, obs_dim) observations and the plans' those of greater value."""
        advised = self.advised(observations, actions)
        of_advised, of_own = self.values(self.critic, th.as_tensor(observations), advised, actions)
        return np.where((of_advised > of_own).numpy(), advised, actions)

    def bootstrapped(self, batch: Batch) -> Batch:
        """The batch with what the plans' action in the next state is worth beyond the policy's added to the reward."""
        if not self.guidance.plans:
            return batch
        following: Any = batch.next_observations
        discount = self.gamma if batch.discounts is None else batch.discounts
        advised = self.advised(following.numpy(), np.empty(0))
        with th.no_grad():
            actions, log_prob = self.actor.action_log_prob(following)
            temperature = th.exp(self.log_ent_coef)  # type: ignore[arg-type]
            of_advised, of_own = self.values(self.critic_target, following, advised, actions)
            gain = (of_advised - (of_own - temperature * log_prob.reshape(-1, 1))).clamp(min=0.0)
        return batch._replace(rewards=batch.rewards + discount * (1 - batch.dones) * gain)

    @staticmethod
    def values(critic: Any, states: th.Tensor, *actions: Any) -> tuple[th.Tensor, ...]:
        """For each of the (n, act_dim) actions in (n, obs_dim) states, (n, 1): the least of the critics' values."""
        tried = th.cat([th.as_tensor(one) for one in actions])
        with th.no_grad():
            least = th.cat(critic(states.repeat(len(actions), 1), tried), dim=1).amin(1, keepdim=True)
        return least.split(len(states))


class Hindsight(VARL):
    """SAC whose replay takes what was reached for what was wanted (HER), on a goal environment."""

    def __call__(self, observation: np.ndarray, deterministic: bool) -> np.ndarray:
        """(act_dim,) action for an observation, as it is examined; of the task's own kind, or a Dict already."""
        parts = observation if isinstance(observation, dict) else self.env.env_method("parts", observation)[0]  # type: ignore[union-attr]
        return self.predict(parts, deterministic=deterministic)[0]

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Begins once an episode has ended: before, there is nothing to look back on."""
        if self.successes.ended:
            super().train(gradient_steps, batch_size)


class PreferenceSampler(Sampler):
    """Adds the learned reward to every batch."""

    def draw(self, n: int, batch_size: int) -> list[Batch]:
        return [self.model.rewarded(batch) for batch in super().draw(n, batch_size)]


class Preferring(VARL):
    """SAC on a reward learned from preferences between pairs of states (RL-VLM-F; Wang et al. 2024).

    A scripted teacher prefers the state of higher ``info["progress"]`` and errs at rate p. The learned reward lies in
    (-1, 0), so that ending an episode in success is never a loss, and is added to the sparse one.
    """

    sampler_class = PreferenceSampler
    labels_left = ALL_LABELS = 5_000
    error_rate = 0.0
    EVERY = 1_000  # steps between two sessions of labelling
    SESSION = 100  # labels a session: 5,000 by step 50,000
    EPOCHS = 20

    @property
    def asked_labels(self) -> int:
        """Pairs compared so far, each a query."""
        return self.ALL_LABELS - self.labels_left

    asked_queries = asked_labels

    def _setup_model(self) -> None:
        super()._setup_model()
        inputs = int(np.prod(self.observation_space.shape))  # type: ignore[arg-type]
        self.reward_model = nn.Sequential(
            nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid()
        )
        self._reward_adam = th.optim.Adam(self.reward_model.parameters(), 1e-3)
        self._progress: list[float] = []
        self._pairs: list[tuple[np.ndarray, np.ndarray, float]] = []
        self._teacher = np.random.default_rng((self.seed or 0, 17))

    def _store_transition(self, replay_buffer: Any, action: Any, new_obs: Any, *rest: Any) -> None:
        super()._store_transition(replay_buffer, action, new_obs, *rest)
        self._progress.append(float(rest[-1][0]["progress"]))
        if self.num_timesteps % self.EVERY == 0 and self.labels_left > 0:
            self._label()
            self._fit()

    def _label(self) -> None:
        """Ask which of two states is nearer to success, for SESSION random pairs of the replay."""
        assert self.replay_buffer is not None
        n = min(self.SESSION, self.labels_left)
        self.labels_left -= n
        for one, other in self._teacher.integers(0, len(self._progress), (n, 2)):
            better = float(self._progress[one] > self._progress[other])
            if self._teacher.random() < self.error_rate:
                better = 1.0 - better
            seen = self.replay_buffer.next_observations
            self._pairs.append((seen[one, 0].copy(), seen[other, 0].copy(), better))

    def _fit(self) -> None:
        """Bradley-Terry: P(one is better) = sigmoid(10 (r(one) - r(other)))."""
        one, other = (self._scaled(np.stack([pair[i] for pair in self._pairs])) for i in (0, 1))
        better = th.tensor([[pair[2]] for pair in self._pairs])
        for _ in range(self.EPOCHS):
            order = th.from_numpy(self._teacher.permutation(len(better)))
            for rows in order.split(128):
                logits = 10.0 * (self.reward_model(one[rows]) - self.reward_model(other[rows]))
                loss = F.binary_cross_entropy_with_logits(logits, better[rows])
                self._reward_adam.zero_grad()
                loss.backward()
                self._reward_adam.step()

    def _scaled(self, observations: Any) -> th.Tensor:
        with th.no_grad():
            return self.actor.features_extractor(th.as_tensor(observations))

    def rewarded(self, batch: Batch) -> Batch:
        """The batch with the learned reward added to its own."""
        with th.no_grad():
            learned = self.reward_model(self._scaled(batch.next_observations)) - 1.0
        return batch._replace(rewards=batch.rewards + learned)
