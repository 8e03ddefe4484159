"""The fast update against Stable-Baselines3's and VARL's own, on the same weights, batches and noise."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv
from varl_agent.advice.messages import AdviceAnswer
from varl_agent.fast import workspace
from varl_agent.fast.cuda_update import CudaUpdate
from varl_agent.fast.fast_update import FastUpdate
from varl_agent.sac.gates import GATE_NAMES, log_prob_per_axis, make_gate
from varl_agent.sac.policies import VARLPolicy
from varl_agent.sac.varl import VARL
from varl_common.errors import VarlError

BATCH = 24
OBS, ACT = 7, 3
SMALL = {"policy_kwargs": {"net_arch": [32, 24]}}


class Room(gym.Env):
    """Nothing happens in it: only its spaces are used."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (OBS,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (ACT,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        return np.zeros(OBS, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return np.zeros(OBS, np.float32), 0.0, False, False, {}


def make(policy: Any = "MlpPolicy", n_envs: int = 1, kind: type[SAC] = SAC, **kwargs: Any) -> SAC:
    """A SAC with a full replay; the same numbers at every call."""
    env = DummyVecEnv([Room] * n_envs)
    model = kind(policy, env, **{"buffer_size": 500, "seed": 0, "device": "cpu", **SMALL, **kwargs})
    rng, replay = np.random.default_rng(0), model.replay_buffer
    assert replay is not None
    for _ in range(400 // n_envs):
        obs, next_obs = rng.standard_normal((2, n_envs, OBS))
        action, done = rng.uniform(-1, 1, (n_envs, ACT)), rng.random(n_envs) < 0.1
        replay.add(obs, next_obs, action, rng.standard_normal(n_envs), done, [{}] * n_envs)
    model.set_logger(Logger(None, []))
    return model


def train(model: SAC, update: Callable[[int, int], None], seed: int, utd: int = 1) -> dict[str, float]:
    """One call of ``update`` with fixed randomness; the logged losses."""
    np.random.seed(seed)  # noqa: NPY002 (Stable-Baselines3 samples from the global generator)
    th.manual_seed(seed)
    update(utd, BATCH)
    values = model.logger.name_to_value
    derived = ("train/entropy", "train/soft_q")  # by a division by log(alpha), which is nearly 0 here
    return {name: float(values[name]) for name in values if name.startswith("train/") and name not in derived}


def parameters(model: SAC) -> th.Tensor:
    return th.cat([p.detach().flatten() for p in model.policy.parameters()])


def eager(model: SAC) -> CudaUpdate:
    """A GPU's update as it runs on a CPU."""
    return CudaUpdate(model, graph=False)


class ApartUpdate(FastUpdate):
    """As it works on large batches: with the rows of s' apart."""

    def _update(self, *arguments: Any) -> tuple[Any, ...]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(workspace, "APART", 1)
            return super()._update(*arguments)


@pytest.mark.parametrize("make_update", [FastUpdate, eager])
@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"policy": VARLPolicy},
        {"ent_coef": 0.2},
        {"n_envs": 3},
        {"learning_rate": lambda remaining: 1e-3 * remaining},
        {"target_update_interval": 2, "tau": 0.02},
        {"policy_kwargs": {"net_arch": [17]}},
        {"policy_kwargs": {"optimizer_kwargs": {"betas": (0.8, 0.99), "eps": 1e-4, "weight_decay": 1e-2}}},
        {"policy_kwargs": {"net_arch": {"pi": [16, 16, 8], "qf": [24]}}},
    ],
    ids=lambda setting: ",".join(setting) or "default",
)
def test_losses_equal_stable_baselines3_over_50_updates(setting: dict[str, Any], make_update: Any) -> None:
    """On the same weights before each update: left alone, the last bit of a product grows (Adam's first steps divide
    gradients by their own size, however small), and faster with another BLAS."""
    reference, fast, alone = make(**setting), make(**setting), make(**setting)
    update, alone_update = make_update(fast), make_update(alone)
    for seed in range(50):
        same_weights(reference, fast)
        expected, got = train(reference, reference.train, seed), train(fast, update.train, seed)
        assert got == pytest.approx(expected, rel=1e-5, abs=1e-6)
        assert train(alone, alone_update.train, seed) == pytest.approx(expected, rel=2e-4, abs=1e-5)
    assert th.allclose(parameters(alone), parameters(reference), rtol=1e-3, atol=1e-3)


def same_weights(source: SAC, model: SAC) -> None:
    """Give ``model`` the weights and optimizer states of ``source``, as loading a checkpoint does."""
    model.policy.load_state_dict(source.policy.state_dict())
    model.actor.optimizer.load_state_dict(deepcopy(source.actor.optimizer.state_dict()))
    model.critic.optimizer.load_state_dict(deepcopy(source.critic.optimizer.state_dict()))
    if model.ent_coef_optimizer is not None:
        assert source.ent_coef_optimizer is not None
        model.ent_coef_optimizer.load_state_dict(deepcopy(source.ent_coef_optimizer.state_dict()))
        model.log_ent_coef.data.copy_(source.log_ent_coef.data)  # type: ignore[union-attr]


@pytest.mark.parametrize("make_update", [FastUpdate, ApartUpdate, eager])
def test_many_updates_a_call_equal_stable_baselines3(make_update: Any) -> None:
    reference, fast = make(), make()
    expected, got = train(reference, reference.train, 1, utd=20), train(fast, make_update(fast).train, 1, utd=20)
    assert got == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("make_update", [FastUpdate, eager])
def test_clipped_gradients_equal_autograd(make_update: Any) -> None:
    clip: dict[str, Any] = {"kind": VARL, "max_grad_norm": 0.05, "update": "autograd"}
    reference, fast = make(**clip), make(**clip)
    update = make_update(fast)
    for seed in range(20):
        same_weights(reference, fast)
        expected, got = train(reference, reference.train, seed), train(fast, update.train, seed)
        assert got == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert th.allclose(parameters(fast), parameters(reference), rtol=1e-3, atol=1e-4)
    gradient = th.cat([p.grad.flatten() for p in reference.actor.parameters()])  # type: ignore[union-attr]
    assert gradient.norm().item() == pytest.approx(0.05, rel=1e-3)


def test_clipping_leaves_small_gradients_alone() -> None:
    clipped, plain = make(kind=VARL, max_grad_norm=1e6), make(kind=VARL)
    train(clipped, clipped.train, 0)
    train(plain, plain.train, 0)
    assert th.equal(parameters(clipped), parameters(plain))


def test_model_can_be_saved_loaded_and_trained_either_way(tmp_path: Path) -> None:
    reference, fast = make(), make()
    update = FastUpdate(fast)
    for seed in range(5):
        train(reference, reference.train, seed)
        train(fast, update.train, seed)
    fast.save(tmp_path / "model.zip")
    loaded = SAC.load(tmp_path / "model.zip", device="cpu")
    loaded.replay_buffer = reference.replay_buffer
    loaded.set_logger(Logger(None, []))
    assert th.equal(parameters(loaded), parameters(fast))
    update = FastUpdate(loaded)
    for seed in range(5, 10):  # autograd on the flat parameters; the fast update on what was loaded
        expected = train(reference, reference.train, seed)
        assert train(fast, fast.train, seed) == pytest.approx(expected, rel=1e-5)
        assert train(loaded, update.train, seed) == pytest.approx(expected, rel=1e-5)


def test_loading_into_a_model_that_trains_fast_takes_effect(tmp_path: Path) -> None:
    source, fast = make(), make()
    train(source, source.train, 0)
    source.save(tmp_path / "model.zip")
    update = FastUpdate(fast)
    for seed in range(3):
        train(fast, update.train, seed)
    fast.set_parameters(str(tmp_path / "model.zip"))
    fast.log_ent_coef.data = source.log_ent_coef.data.clone()  # type: ignore[union-attr]
    assert train(fast, update.train, 9) == pytest.approx(
        {**train(source, source.train, 9), "train/n_updates": 4}, rel=1e-5
    )


@pytest.mark.parametrize("gate", GATE_NAMES)
@pytest.mark.parametrize("make_update", [FastUpdate, eager])
def test_guided_updates_equal_autograd(make_update: Any, gate: str) -> None:
    def advised() -> VARL:
        model = make(kind=VARL, update="autograd", gate=gate, cutoff_step=10**6)
        assert isinstance(model, VARL)
        rng = np.random.default_rng(4)
        states, actions = rng.standard_normal((30, OBS), np.float32), rng.uniform(-0.9, 0.9, (30, ACT))
        model.guidance.add(states, AdviceAnswer.of(actions, "test"), 0)
        return model

    reference, fast = advised(), advised()
    update = make_update(fast)
    for seed in range(20):
        same_weights(reference, fast)
        expected, got = train(reference, reference.train, seed), train(fast, update.train, seed)
        assert got == pytest.approx(expected, rel=1e-5, abs=1e-6)
        assert th.allclose(parameters(fast), parameters(reference), rtol=1e-3, atol=1e-4)
        assert fast.log_ent_coef.item() == pytest.approx(reference.log_ent_coef.item(), abs=1e-6)  # type: ignore[union-attr]
    assert fast.guidance_metrics == pytest.approx(reference.guidance_metrics, rel=1e-4, abs=1e-6)


def guided(model: SAC, shared: bool, gate: str, weight: float = 10.0, advised: int = 10) -> dict[str, Any]:
    """Give a plain SAC what VARL has for guidance, always the same states; returns what was noted."""
    rng = th.Generator().manual_seed(3)
    states, actions = th.randn(advised, OBS, generator=rng), 1.9 * th.rand(advised, ACT, generator=rng) - 0.95
    noted: dict[str, Any] = {}

    def guide(batch: Any) -> SimpleNamespace:
        if shared:
            labels = (batch.observations[:, :ACT] * 3).tanh() * 0.95
            return SimpleNamespace(observations=batch.observations, actions=labels, weight=weight)
        return SimpleNamespace(observations=states, actions=actions, weight=weight)

    def batches(n: int, rows: int) -> list[Any]:
        drawn = [model.replay_buffer.sample(rows) for _ in range(n)]  # type: ignore[union-attr]
        return [(batch, guide(batch)) for batch in drawn]

    attributes = {
        "batches": batches,
        "guide": guide,
        "gate": make_gate(gate),
        "advantage": lambda guidance, mean: th.zeros(len(mean), 1),
        "metrics_due": lambda: True,
        "note_guidance": lambda guidance, mean, opened, bc_loss: noted.update(opened=opened, bc_loss=bc_loss),
        "record_training": lambda losses: None,
    }
    for name, value in attributes.items():
        setattr(model, name, value)
    return noted


@pytest.mark.parametrize("gate", ["none", "whole", "axis", "log-prob"])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("make_update", [FastUpdate, ApartUpdate, eager])
def test_guided_gradient_equals_autograd(make_update: Any, shared: bool, gate: str) -> None:
    model = make(policy_kwargs={"net_arch": [32, 24], "use_expln": False})
    noted = guided(model, shared, gate)
    update = make_update(model)
    with th.no_grad():  # some of the policy's deviations at either bound of the clamp
        head: Any = model.actor.log_std
        head.bias[0], head.weight[0] = 2.5, 0.0
    before = deepcopy(model.actor.state_dict())
    train(model, update.train, 0)
    got = {id(p): g.clone() for p, g in update._actor.parts(update._actor.gradient)}
    model.actor.load_state_dict(before)

    # The critics have made their step, so Q is what the actor's gradient has seen; the noise is the same.
    np.random.seed(0)  # noqa: NPY002
    th.manual_seed(0)
    batch = model.replay_buffer.sample(BATCH)  # type: ignore[union-attr]
    action, log_pi = model.actor.action_log_prob(batch.observations)
    q = th.cat(model.critic(batch.observations, action), dim=1).amin(1)
    guidance = model.guide(batch)  # type: ignore[attr-defined]
    mean, log_std, _ = model.actor.get_action_dist_params(guidance.observations)
    opened = model.gate(mean, log_std.exp(), guidance.actions, None)  # type: ignore[attr-defined]
    bc = -(opened * log_prob_per_axis(mean, log_std.exp(), guidance.actions)).sum(1).mean()
    # alpha is 1 in the first update
    loss = (log_pi - q).mean() + guidance.weight * bc
    gradients = th.autograd.grad(loss, list(model.actor.parameters()))
    for parameter, expected in zip(model.actor.parameters(), gradients, strict=True):
        error = (got[id(parameter)] - expected).abs().max() / expected.abs().max()
        assert error < 1e-4
    assert noted["bc_loss"] == pytest.approx(bc.item(), rel=1e-5)
    assert noted["opened"].mean() > 0


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"use_sde": True}, "use_sde"),
        ({"policy_kwargs": {"n_critics": 3}}, "3 critics"),
        ({"policy_kwargs": {"activation_fn": th.nn.Tanh}}, "ReLU"),
        ({"policy_kwargs": {"optimizer_class": th.optim.SGD}}, "Adam"),
    ],
)
def test_what_is_not_covered_is_refused_by_name(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(VarlError, match=words):
        FastUpdate(make(**setting))
