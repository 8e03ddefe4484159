"""The implementations that benchmarks/speed.py compares, all on the same 20,000 transitions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from varl_agent.advice.messages import AdviceAnswer
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.sac.policies import VARLPolicy
from varl_agent.sac.varl import VARL
from varl_common.plan import Phase, Plan

Train = Callable[[int, int], object]  # so many updates, each on a batch of so many rows


class Learners:
    """Makes them, for observations and actions of these sizes; their replays that are stores go into ``folder``."""

    def __init__(self, folder: Path, obs: int, act: int) -> None:
        self.folder, self.obs, self.act, self._made = folder, obs, act, 0

        class Spaces(gymnasium.Env[Any, Any]):
            observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (obs,), np.float32)
            action_space = gymnasium.spaces.Box(-1, 1, (act,), np.float32)
            description = SimpleNamespace(
                observation_names=[f"x{i}" for i in range(obs)],
                action_names=["dx", "dy", "dz", "gripper"],
                action_scale=np.full(act, 0.1),
                entities=["tool", "block", "target"],
                entity_indices=[0, 3, 6],
            )

        self._env = Spaces

    def of_a_cpu(self) -> dict[str, Train]:
        import sbx

        # Stable-Baselines3's plain setting, and nothing of VARL's own.
        plain = {"policy_kwargs": {"layer_norm": False}, "update": "fast", "ent_coef": "auto"}
        plain |= {"success_fraction": 0.0, "imitation_weight": 0.0}
        guided = self._make(VARL, stored=True, cutoff="hard", cutoff_step=10**9, **plain)
        states = np.random.default_rng(1).standard_normal((192, self.obs)).astype(np.float32)
        advice = np.random.default_rng(2).choice([-0.8, 0.8], (192, self.act)).astype(np.float32)
        answer = AdviceAnswer.of(advice, "benchmark")
        guided.guidance.add(states, answer, 0)
        planned = self._make(VARL, stored=True, cutoff="hard", cutoff_step=10**9, **plain)
        shipped = self._make(VARL, stored=True, cutoff_step=10**9, update="fast")
        for step in range(3):
            way = [Phase("block", (0.0, 0.0, height), grip, 2.0) for height, grip in ((0.5, -1.0), (0.0, 1.0))]
            plan = Plan((*way, Phase("target", (0.1 * step, 0.0, 0.0), 1.0)))
            for model in (planned, shipped):
                model.guidance.add(states[:0], AdviceAnswer.of(advice[:0], "benchmark", plan), step)
        return {
            "sb3": self._make(SAC).train,
            "sbx": self._make(sbx.SAC).train,
            "varl": self._make(VARL, stored=True, **plain).train,
            "varl_guided": guided.train,
            "varl_planned": planned.train,
            "shipped": shipped.train,  # VARL's defaults: LayerNorm, scaled inputs, success replay, plans
            "sb3_layernorm": self._make(SAC, VARLPolicy).train,  # the same networks
            "varl_layernorm": self._make(VARL, stored=True, **plain | {"policy_kwargs": {}}).train,
        }

    def of_a_gpu(self) -> dict[str, Train]:
        plain = {"policy_kwargs": {"layer_norm": False}, "update": "fast", "stored": True, "device": "cuda"}
        return {
            "sb3": self._make(SAC, device="cuda").train,
            "varl": self._make(VARL, **plain).train,
            "varl_bf16": self._make(VARL, bf16=True, **plain).train,
        }

    def _make(self, kind: Any, policy: Any = "MlpPolicy", stored: bool = False, **settings: Any) -> Any:
        if stored:
            settings["replay_buffer_class"] = PersistentReplayBuffer
            settings["replay_buffer_kwargs"] = {"folder": self.folder / str(self._made)}
        model = kind(policy, self._env(), **{"buffer_size": 100_000, "seed": 0, "device": "cpu", **settings})
        self._made += 1
        model.set_logger(Logger(None, []))
        rng = np.random.default_rng(0)
        for _ in range(20_000):
            obs, next_obs = rng.standard_normal((2, 1, self.obs), np.float32)
            action = rng.uniform(-1, 1, (1, self.act)).astype(np.float32)
            done = rng.random(1) < 0.02
            model.replay_buffer.add(obs, next_obs, action, rng.standard_normal(1), done, [{}])
            if kind is VARL:
                model.successes.add(done, [{"is_success": bool(done[0])}])
        return model
