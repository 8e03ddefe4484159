"""VARL as a Stable-Baselines3 algorithm."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import EveryNTimesteps, StopTrainingOnMaxEpisodes
from stable_baselines3.common.env_util import make_vec_env
from varl_agent.sac.presets import preset
from varl_agent.sac.varl import VARL
from varl_common.errors import VarlError

from .point import SMALL, PointEnv, Scripted, make, same


def test_without_advice_it_is_stable_baselines3s_sac_bit_for_bit():
    settings = preset("sac", update="autograd", **SMALL)
    varl = VARL("MlpPolicy", PointEnv(limit=None), **settings).learn(200)
    sac = SAC("MlpPolicy", PointEnv(limit=None), **SMALL).learn(200)
    assert same(varl, sac)
    assert varl.log_ent_coef.item() == sac.log_ent_coef.item()


@pytest.mark.parametrize("policy_kwargs", [{}, {"layer_norm": False}])
def test_save_and_load_in_the_middle_of_guidance_continues_exactly(tmp_path, policy_kwargs):
    model = make(Scripted(), trigger=[30, 60], policy_kwargs=policy_kwargs, success_fraction=0.5).learn(50)
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "replay")
    loaded = VARL.load(tmp_path / "model", env=PointEnv(), advisor=Scripted())
    loaded.load_replay_buffer(tmp_path / "replay")
    loaded.set_logger(model.logger)
    assert loaded.guidance.used == 10
    for each in (model, loaded):
        th.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        each.train(20, 16)
    assert same(model, loaded)
    loaded.learn(20, reset_num_timesteps=False)
    assert loaded.guidance.queries == 2  # the second question, at step 60


def test_what_is_logged_tells_how_guidance_does():
    model = make(Scripted(), trigger=[30]).learn(60, log_interval=None)
    logged = model.logger.name_to_value
    axes = {f"guidance/gate_open_axis_{j}" for j in range(3)}
    assert axes | {"guidance/gate_open", "guidance/age", "guidance/bc_loss", "guidance/advantage"} <= set(logged)
    assert {"train/ent_coef", "train/entropy", "train/soft_q"} <= set(logged)
    batch = model.sampler.draw(1, 64)[0]
    with th.no_grad():
        entropy = -model.actor.action_log_prob(batch.observations)[1].mean().item()
        value = th.cat(model.critic(batch.observations, model.actor(batch.observations)), 1).amin(1).mean().item()
    assert logged["train/entropy"] == pytest.approx(entropy, abs=1.0)
    assert logged["train/soft_q"] == pytest.approx(value, abs=0.3)


def test_the_replay_holds_what_was_executed():
    model = make().learn(60)
    assert np.abs(model.replay_buffer.actions[:60]).max() <= 0.5


def test_what_was_executed_is_stored_in_the_policys_units():
    class Halving(gym.ActionWrapper):
        """Takes actions in +-2, which the point executes halved and within +-0.5, and says so in its own units."""

        def __init__(self):
            super().__init__(PointEnv())
            self.action_space = gym.spaces.Box(-2.0, 2.0, (3,), np.float32)

        def action(self, action):
            return action / 2

        def step(self, action):
            *rest, info = super().step(action)
            return *rest, {**info, "executed_action": 2 * info["executed_action"]}

    model = make(env=Halving()).learn(60)
    assert np.abs(model.replay_buffer.actions[:60]).max() == pytest.approx(0.5)


@pytest.mark.parametrize("selection", ["recent", "spread", "uncertain"])
def test_several_environments_callbacks_and_selections(selection, tmp_path):
    env = make_vec_env(PointEnv, n_envs=3)
    stop = StopTrainingOnMaxEpisodes(max_episodes=60)
    model = make(Scripted(), env, selection=selection, success_fraction=0.25)
    model.learn(90, callback=[stop, EveryNTimesteps(30, StopTrainingOnMaxEpisodes(1_000))])
    assert model.guidance.queries == 2
    assert model.guidance.asked == 20
    assert model.predict(env.reset())[0].shape == (3, 3)


def test_a_dict_observation():
    model = make(Scripted(plan=None), PointEnv(as_dict=True), policy="MultiInputPolicy").learn(80)
    assert model.guidance.used == 20
    assert model.advisor.queries[0].states.shape == (10, 6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"gate": "some"},
        {"gate": None},
        {"gate": ["log-prob"]},
        {"gate_threshold": float("nan")},
        {"gate_threshold": "1"},
        {"cutoff": None},
        {"selection": None},
        {"update": None},
        {"states_per_query": 10.5},
        {"states_per_query": True},
        {"window": 100.0},
        {"guidance_batch_size": 64.0},
        {"guidance_weight": float("inf")},
        {"guidance_weight": 1e39},
        {"imitation_weight": float("inf")},
        {"act": "0.5"},
        {"act": float("nan")},
        {"success_fraction": None},
        {"cutoff_step": "60000"},
        {"cutoff_step": float("nan")},
        {"cutoff_successes": None},
        {"cutoff_rate": "0.9"},
        {"advice_delay": 0.5},
        {"advice_deadline": None},
        {"max_grad_norm": float("nan")},
        {"cutoff": "soft"},
        {"selection": "best"},
        {"update": "slow"},
        {"trigger": 0},
        {"trigger": True},
        {"trigger": "100"},
        {"trigger": 100.5},
        {"trigger": [-5]},
        {"states_per_query": 0},
        {"window": -1},
        {"success_fraction": 1.0},
        {"success_fraction": -0.2},
        {"imitation_weight": -1.0},
        {"guidance_weight": -1.0},
        {"guidance_batch_size": 0},
        {"cutoff_step": -5},
        {"cutoff_decay": -10},
        {"cutoff_rate": 2.0},
        {"advice_delay": -3},
        {"advice_deadline": -1.0},
        {"max_grad_norm": -1},
        {"advisor": "gpt"},
    ],
)
def test_an_impossible_setting_is_refused_in_a_sentence(wrong):
    with pytest.raises(VarlError, match=next(iter(wrong))):
        make(**{"advisor": Scripted(), **wrong})


def test_numbers_may_be_numpys_and_some_without_end():
    whole = {"states_per_query": np.int64(5), "window": np.int32(50), "guidance_batch_size": np.uint8(12)}
    shares = {"act": np.float32(0.5), "success_fraction": np.float64(0.25)}
    endless = {"cutoff_step": float("inf"), "gate_threshold": float("inf"), "max_grad_norm": float("inf")}
    assert make(Scripted(), **whole, **shares, **endless).learn(40).guidance.used == 5


@pytest.mark.parametrize("trigger", [np.int64(30), np.array([30, 60]), (30, 60)])
def test_steps_may_be_numpys(trigger):
    assert make(Scripted(), trigger=trigger).learn(65).guidance.queries == 2


def test_loaded_without_its_replay_it_draws_no_rows_that_are_not_there(tmp_path):
    class Winning(PointEnv):
        """Observations are never 0."""

        def _observe(self):
            return super()._observe() + 1

        def step(self, action):
            observation, reward, *ended, info = super().step(action)
            return observation, reward, *ended, {**info, "is_success": True}

    model = make(env=Winning(), success_fraction=0.5).learn(120)
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "replay")
    loaded = VARL.load(tmp_path / "model", env=make_vec_env(Winning, n_envs=2))
    loaded.learn(80, reset_num_timesteps=False)
    assert loaded.num_timesteps == 200
    assert len(loaded.successes) > 0
    assert loaded.sampler.draw(1, 64)[0].observations.any(dim=1).all()

    loaded = VARL.load(tmp_path / "model", env=Winning())
    loaded.load_replay_buffer(tmp_path / "replay")
    loaded.learn(1, reset_num_timesteps=False)
    assert len(loaded.successes) == len(model.successes), "and with its replay it goes on"


@pytest.mark.parametrize("update", ["autograd", "fast"])
def test_entropy_and_soft_value_are_logged_where_the_temperature_is_fixed_too(update):
    model = make(ent_coef=0.1, update=update).learn(60, log_interval=1000)
    logged = model.logger.name_to_value
    assert "train/ent_coef_loss" not in logged
    states = th.as_tensor(model.replay_buffer.observations[:60, 0])
    with th.no_grad():
        entropy = -model.actor.action_log_prob(states)[1].mean().item()
    assert logged["train/entropy"] == pytest.approx(entropy, abs=0.5)
    assert logged["train/soft_q"] == pytest.approx(-logged["train/actor_loss"] - 0.1 * logged["train/entropy"])
