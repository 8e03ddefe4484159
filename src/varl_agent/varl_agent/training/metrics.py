"""The metrics of a running training, as the bar, the status topic and TensorBoard show them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from varl_agent.sac.varl import VARL
from varl_agent.training.record import Phase, Record
from varl_agent.vec_env.parallel_env import ParallelEnv

INTERVAL = 1.0  # seconds over which rates are taken


@dataclass(frozen=True)
class TrainingMetrics:
    """How a training is doing. Fields as in TrainingStatus.msg."""

    record: Record
    updates_per_second: float
    utd: float
    advice_asked: int
    advice_used: int
    advice_queries: int
    gate_open: float
    guided: bool
    alpha: float
    entropy: float
    action_latency_p99: float
    replay_size: int
    time_left: float


class MetricsReader:
    """Reads the metrics off a model about once a second."""

    def __init__(self, model: VARL, env: ParallelEnv) -> None:
        self._model = model
        self._env = env
        self._read_at = time.monotonic()
        self._step = model.num_timesteps
        self._updates = model._n_updates
        self._newest: TrainingMetrics | None = None
        self._newest_entropy = float("nan")

    def read(self, record: Record) -> TrainingMetrics:
        """The newest metrics, which are recorded for TensorBoard as well."""
        now = time.monotonic()
        if self._newest is not None and now - self._read_at < INTERVAL:
            return self._newest
        model, passed = self._model, max(now - self._read_at, 1e-9)
        steps_per_second = (model.num_timesteps - self._step) / passed
        updates_per_second = (model._n_updates - self._updates) / passed
        self._read_at, self._step, self._updates = now, model.num_timesteps, model._n_updates
        learned = model.num_timesteps - model.learning_starts
        moving = record.phase == Phase.TRAINING and steps_per_second > 0
        self._newest = TrainingMetrics(
            record=record,
            updates_per_second=updates_per_second,
            utd=model._n_updates / learned if learned > 0 else 0.0,
            advice_asked=model.guidance.asked,
            advice_used=model.guidance.used,
            advice_queries=model.guidance.queries,
            gate_open=model.guidance_metrics.get("gate_open", 0.0),
            guided=model.guided,
            alpha=_alpha(model),
            entropy=self._entropy(),
            action_latency_p99=self._latency(),
            replay_size=model.replay_buffer.size() * model.n_envs if model.replay_buffer else 0,
            time_left=(record.total_steps - record.step) / steps_per_second if moving else -1.0,
        )
        for name in ("updates_per_second", "utd", "action_latency_p99", "entropy"):
            model.logger.record(f"learner/{name}", getattr(self._newest, name))
        return self._newest

    def _entropy(self) -> float:
        """Of the newest batches (nats); nan until there are any. The logger forgets what it has written."""
        self._newest_entropy = float(self._model.logger.name_to_value.get("train/entropy", self._newest_entropy))
        return self._newest_entropy

    def _latency(self) -> float:
        latencies = list(self._env.latencies)
        return float(np.percentile(latencies, 99)) if latencies else 0.0


def _alpha(model: VARL) -> float:
    return float(model.log_ent_coef.detach().exp()) if model.log_ent_coef is not None else float(model.ent_coef_tensor)
