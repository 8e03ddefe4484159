"""The fast update against Stable-Baselines3's and VARL's own, on the same weights, batches and noise."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.vec_env import DummyVecEnv
from varl_agent.advice.messages import AdviceAnswer
from varl_agent.fast import workspace
from varl_agent.fast.cuda_update import CudaUpdate
from varl_agent.fast.fast_update import FastUpdate
from varl_agent.sac.gates import GATE_NAMES
from varl_agent.sac.guidance import GuidanceBatch
from varl_agent.sac.policies import VARLPolicy
from varl_agent.sac.presets import preset
from varl_agent.sac.sampler import Sampler
from varl_agent.sac.varl import VARL
from varl_common.errors import VarlError

BATCH = 24
OBS, ACT = 7, 3
NO_GPU = pytest.mark.skipif(not th.cuda.is_available(), reason="needs an NVIDIA GPU")
SMALL: dict[str, Any] = {"policy_kwargs": {"net_arch": [32, 24]}}


class Room(gym.Env):
    """Nothing happens in it: only its spaces are used."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (OBS,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (ACT,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        return np.zeros(OBS, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return np.zeros(OBS, np.float32), 0.0, False, False, {}


def make(policy: Any = "MlpPolicy", n_envs: int = 1, kind: type[SAC] = VARL, **kwargs: Any) -> Any:
    """A plain SAC with a full replay, Stable-Baselines3's or VARL as such; the same numbers at every call."""
    env = DummyVecEnv([Room] * n_envs)
    settings = {"buffer_size": 500, "seed": 0, "device": "cpu", **SMALL, **kwargs}
    if issubclass(kind, VARL):
        settings = preset("sac", **{"update": "autograd", **settings})
        if policy is VARLPolicy:
            settings["policy_kwargs"] = {**SMALL["policy_kwargs"], **kwargs.get("policy_kwargs", {})}
    model = kind(policy, env, **settings)
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


class ApartUpdate(FastUpdate):
    """As it works on large batches: with the rows of s' apart."""

    def _update(self, *arguments: Any) -> tuple[Any, ...]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(workspace, "APART", 1)
            return super()._update(*arguments)


@pytest.mark.parametrize("make_update", [FastUpdate, CudaUpdate])
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
    reference, fast, alone = make(kind=SAC, **setting), make(**setting), make(**setting)
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


@pytest.mark.parametrize("make_update", [FastUpdate, ApartUpdate, CudaUpdate])
def test_many_updates_a_call_equal_stable_baselines3(make_update: Any) -> None:
    reference, fast = make(kind=SAC), make()
    expected, got = train(reference, reference.train, 1, utd=20), train(fast, make_update(fast).train, 1, utd=20)
    assert got == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("make_update", [FastUpdate, CudaUpdate])
def test_clipped_gradients_equal_autograd(make_update: Any) -> None:
    clip: dict[str, Any] = {"max_grad_norm": 0.05}
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
    clipped, plain = make(max_grad_norm=1e6), make()
    train(clipped, clipped.train, 0)
    train(plain, plain.train, 0)
    assert th.equal(parameters(clipped), parameters(plain))


def test_model_can_be_saved_loaded_and_trained_either_way(tmp_path: Path) -> None:
    reference, fast = make(kind=SAC), make()
    update = FastUpdate(fast)
    for seed in range(5):
        train(reference, reference.train, seed)
        train(fast, update.train, seed)
    fast.save(tmp_path / "model.zip")
    loaded = VARL.load(tmp_path / "model.zip", device="cpu")
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
@pytest.mark.parametrize("hold", [1.0, 0.3])
@pytest.mark.parametrize(
    ("make_update", "device"),
    [(FastUpdate, "cpu"), (CudaUpdate, "cpu"), pytest.param(CudaUpdate, "cuda", marks=[pytest.mark.gpu, NO_GPU])],
)
def test_guided_updates_equal_autograd(make_update: Any, device: str, hold: float, gate: str) -> None:
    """Losses, parameters, targets and the state of every optimizer, after each step."""

    def advised() -> VARL:
        model: VARL = make(gate=gate, cutoff="linear", cutoff_step=0, cutoff_decay=100, device=device)
        model.released_at, model.num_timesteps = 0, round(100 * (1 - hold))
        rng = np.random.default_rng(4)
        states, actions = rng.standard_normal((30, OBS), np.float32), rng.uniform(-0.9, 0.9, (30, ACT))
        model.guidance.add(states, AdviceAnswer.of(actions, "test"), 0)
        return model

    reference, fast = advised(), advised()
    update = make_update(fast)
    for seed in range(20):
        same_weights(reference, fast)
        expected, got = train(reference, reference.train, seed), train(fast, update.train, seed)
        if device == "cpu":  # a graph's losses are read every READ_EVERY updates
            assert got == pytest.approx(expected, rel=1e-5, abs=1e-6)
        assert_same_state(fast, reference)
    assert fast.guidance_metrics == pytest.approx(reference.guidance_metrics, rel=1e-4, abs=1e-6)


def assert_same_state(model: SAC, reference: SAC) -> None:
    """Parameters, targets, temperature and what the optimizers hold, but for the last bits of products."""
    for (name, ours), theirs in zip(
        model.policy.state_dict().items(), reference.policy.state_dict().values(), strict=True
    ):
        assert th.allclose(ours, theirs, rtol=1e-3, atol=1e-4), name
    assert model.log_ent_coef.item() == pytest.approx(reference.log_ent_coef.item(), abs=1e-6)  # type: ignore[union-attr]
    for which in (lambda m: m.actor.optimizer, lambda m: m.critic.optimizer, lambda m: m.ent_coef_optimizer):
        mine, other = which(model).state_dict()["state"], which(reference).state_dict()["state"]
        assert mine.keys() == other.keys()
        for key, state in mine.items():
            for name, value in state.items():
                assert th.allclose(value, other[key][name], rtol=1e-3, atol=1e-5), (key, name)


class Fixed(Sampler):
    """Guides by the same states in each update, or by the batch's own (``shared``)."""

    shared = False
    advised = 10

    def guidance(self, batches: list[Any]) -> list[Any]:
        return [self.beside(batch) for batch in batches]

    def beside(self, batch: Any) -> GuidanceBatch:
        if self.shared:
            return GuidanceBatch(batch.observations, (batch.observations[:, :ACT] * 3).tanh() * 0.95, 10.0, 0.0)
        rng = th.Generator().manual_seed(3)
        states = th.randn(self.advised, OBS, generator=rng)
        return GuidanceBatch(states, 1.9 * th.rand(self.advised, ACT, generator=rng) - 0.95, 10.0, 0.0)


@pytest.mark.parametrize("gate", ["none", "distance", "distance-joint", "log-prob", "log-prob-joint"])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("make_update", [FastUpdate, ApartUpdate, CudaUpdate])
def test_guided_gradient_equals_autograd(make_update: Any, shared: bool, gate: str) -> None:
    model = make(policy_kwargs={"net_arch": [32, 24], "use_expln": False}, gate=gate)
    model.sampler = Fixed(model)
    model.sampler.shared = shared
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
    batch = model.replay_buffer.sample(BATCH)
    action, log_pi = model.actor.action_log_prob(batch.observations)
    q = th.cat(model.critic(batch.observations, action), dim=1).amin(1)
    guidance = model.sampler.beside(batch)
    # alpha is 1 in the first update
    loss = (log_pi - q).mean() + model._guidance_loss(guidance)
    gradients = th.autograd.grad(loss, list(model.actor.parameters()))
    for parameter, expected in zip(model.actor.parameters(), gradients, strict=True):
        error = (got[id(parameter)] - expected).abs().max() / expected.abs().max()
        assert error < 1e-4
    assert model.guidance_metrics["gate_open"] > 0


class TenfoldCritic(ContinuousCritic):
    """Its layers are as usual, its values are not."""

    def forward(self, obs: th.Tensor, actions: th.Tensor) -> tuple[th.Tensor, ...]:
        return tuple(10 * value for value in super().forward(obs, actions))


class TenfoldPolicy(VARLPolicy):
    def make_critic(self, features_extractor: Any = None) -> ContinuousCritic:
        kwargs = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return TenfoldCritic(**kwargs).to(self.device)


class OwnStep(VARL):
    def _step(self, optimizer: th.optim.Optimizer, loss: th.Tensor) -> None:
        super()._step(optimizer, 2 * loss)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"use_sde": True}, "use_sde"),
        ({"policy_kwargs": {"n_critics": 3}}, "3 critics"),
        ({"policy_kwargs": {"activation_fn": th.nn.Tanh}}, "ReLU"),
        ({"policy_kwargs": {"optimizer_class": th.optim.SGD}}, "Adam"),
        ({"policy": TenfoldPolicy}, "TenfoldCritic"),
        ({"kind": OwnStep}, "_step"),
    ],
)
def test_what_is_not_covered_is_refused_by_name(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(VarlError, match=words):
        FastUpdate(make(**setting))


def test_what_is_altered_in_place_is_refused() -> None:
    hooked, patched = make(), make()
    hooked.critic.q_networks[0][0].register_forward_hook(lambda module, inputs, output: 10 * output)
    patched.actor.mu.forward = lambda features: 10 * features[:, :ACT]
    for model in (hooked, patched):
        with pytest.raises(VarlError, match="hooks"):
            FastUpdate(model)


@pytest.mark.parametrize("setting", [{"policy": TenfoldPolicy}, {"kind": OwnStep}])
def test_auto_trains_by_autograd_what_is_not_covered(setting: dict[str, Any]) -> None:
    auto, reference = make(**setting, update="auto"), make(**setting, update="autograd")
    train(auto, auto.train, 0)
    train(reference, reference.train, 0)
    assert th.equal(parameters(auto), parameters(reference))
