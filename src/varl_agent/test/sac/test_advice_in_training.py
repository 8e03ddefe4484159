"""What advice does to a training: it guides, is late, is released, and makes way for one's own successes."""

import threading
from concurrent.futures import Future

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize
from varl_agent.advice.messages import ADVICE_LIMIT, AdviceAnswer, finished
from varl_agent.advice.plan_selection import try_next
from varl_agent.sac.varl import VARL
from varl_common.plan import Phase, Plan

from .point import PointEnv, Scripted, make


@pytest.mark.parametrize("update", ["autograd", "fast"])
def test_while_advice_narrows_the_policy_the_temperature_does_not_rise(update):
    def temperature(advisor, target_entropy):
        settings = {"trigger": [30], "cutoff_step": 9_000, "learning_starts": 40, "ent_coef": "auto_0.1"}
        model = make(advisor, target_entropy=target_entropy, update=update, **settings)
        return model.learn(150).log_ent_coef.exp().item()

    wanting_more, wanting_less = 5.0, -20.0  # nats: more than three axes can have, less than they ever had
    assert temperature(None, wanting_more) > 0.101
    assert temperature(Scripted(), wanting_more) == pytest.approx(0.1)
    assert temperature(Scripted(), wanting_less) < 0.099


def test_a_plan_that_contradicts_what_succeeds_is_left_out(tmp_path):
    right, wrong = Plan((Phase("target"),)), Plan((Phase("target", (-1.0, -1.0, -1.0)),))

    class Changing(Scripted):
        def ask(self, query):
            self.plan = wrong if self.queries else right
            return super().ask(query)

    model = make(Changing(), trigger=[30, 1_000], gate="none", cutoff_step=9_000, buffer_size=3_000, learning_rate=3e-3)
    model.learn(990)
    assert model.guidance.trusted is None  # there is one plan
    model.learn(600, reset_num_timesteps=False)
    assert len(model.guidance.plans) == 2
    assert model.guidance.trusted == [0]
    states = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 6)).astype(np.float32)
    advice = model.guidance.label(states, model.consultation.scene)
    np.testing.assert_array_equal(advice, right.actions(states, model.consultation.scene).clip(-0.8, 0.8))
    model.save(tmp_path / "model")
    assert VARL.load(tmp_path / "model", env=PointEnv()).guidance.trusted == [0]


def test_plans_that_do_not_bring_success_make_way_for_each_alone():
    """Two wrong plans and a right one, whose vote is wrong: no success tells them apart until one guides alone."""
    far = [Plan((Phase("target", (0.0, 0.0, shift)),)) for shift in (-2.0, -2.0, 0.0)]

    class Torn(Scripted):
        def ask(self, query):
            self.plan = far[len(self.queries)]
            return super().ask(query)

    settings = {"gate": "none", "cutoff_step": 50_000, "buffer_size": 20_000, "learning_rate": 3e-3, "train_freq": 2}
    model = make(Torn(), trigger=[30, 60, 90], **settings)
    chosen = []
    for _ in range(12):
        model.learn(500, reset_num_timesteps=False)
        if model.guidance.trusted not in chosen:
            chosen.append(model.guidance.trusted)
        if model.guidance.trusted == [2]:
            break
    assert chosen == [None, [0], [1], [2]]
    states = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 6)).astype(np.float32)
    advice = model.guidance.label(states, model.consultation.scene)
    np.testing.assert_array_equal(advice, far[2].actions(states, model.consultation.scene).clip(-0.8, 0.8))
    try_next(model.guidance, 1_000)
    assert model.guidance.trusted is None


def test_an_open_question_is_asked_again_after_a_restart():
    model = make(Scripted(), trigger=[30], advice_delay=10).learn(35)
    assert model.consultation.question is not None
    assert model.guidance.queries == 0
    again = make(Scripted(), trigger=[30], advice_delay=10)
    again.consultation.load_state_dict(model.consultation.state_dict())
    again.num_timesteps = 40
    again.consultation.advance(0.0)
    assert again.advisor.queries[0].step == 30
    assert np.array_equal(again.advisor.queries[0].states, model.advisor.queries[0].states)
    assert again.guidance.used == 10


def test_the_advised_policy_follows_the_advice():
    model = make(Scripted(), trigger=[30], states_per_query=20, gate="none", learning_rate=3e-3).learn(300)
    states = model.advisor.queries[0].states
    advice = np.clip(np.sign(states[:, 3:] - states[:, :3]), -ADVICE_LIMIT, ADVICE_LIMIT)
    greedy, _ = model.predict(states, deterministic=True)
    assert np.mean(np.sign(greedy) == np.sign(advice)) > 0.8
    assert model.guidance_metrics["age"] > 0


@pytest.mark.parametrize("update", ["autograd", "fast"])
def test_guidance_is_looked_at_once_a_call_of_train(update, monkeypatch):
    model = make(Scripted(), trigger=[30], update=update).learn(60, log_interval=None)
    looked, advantage = [], model.advantage
    monkeypatch.setattr(model, "advantage", lambda *of: looked.append(model._n_updates) or advantage(*of))
    start = model._n_updates
    for _ in range(15):
        model.train(20, 16)
    assert [n - start for n in looked] == [80, 180, 280]


def test_a_plan_labels_the_replay_batch():
    model = make(Scripted(plan=Plan((Phase("target"),))), trigger=[30]).learn(60)
    ((batch, guidance),) = model.sampler.batches(1, 16)
    assert guidance.observations is batch.observations
    expected = ((batch.observations[:, 3:] - batch.observations[:, :3]) / 0.1).clamp(-ADVICE_LIMIT, ADVICE_LIMIT)
    assert th.allclose(guidance.actions, expected, atol=1e-6)


@pytest.mark.parametrize(("imitation_weight", "own"), [(1.0, 8), (0.0, 0)])
def test_where_an_episode_succeeded_its_own_actions_are_the_labels(imitation_weight, own):
    settings = {"success_fraction": 0.5, "imitation_weight": imitation_weight}
    model = make(Scripted(plan=Plan((Phase("target"),))), trigger=[30], **settings).learn(60)
    model.successes.adopt(60, np.array([[40, 50, 0]]))
    for batch, guidance in model.sampler.batches(3, 16):
        assert guidance.observations is batch.observations
        advised = model.guidance.label(batch.observations.numpy(), model.consultation.scene)
        assert (guidance.actions[: 16 - own] == th.as_tensor(advised)[: 16 - own]).all()
        assert (guidance.actions[16 - own :] == batch.actions[16 - own :].clamp(-0.98, 0.98)).all()
        assert not own or not np.allclose(advised[8:], batch.actions[8:])


@pytest.mark.parametrize("deadline", [1e10, float("inf")])
def test_an_answer_may_be_waited_for_without_end(deadline):
    class Slow(Scripted):
        def ask(self, query):
            slow, answer = Future(), super().ask(query).result()
            threading.Timer(0.05, slow.set_result, [answer]).start()
            return slow

    assert make(Slow(), trigger=[30], advice_deadline=deadline).learn(40).guidance.used == 10


def test_in_real_time_an_answer_is_taken_in_when_it_is_there_and_not_used_after_the_cutoff():
    model = make(Scripted(hold=True), trigger=[30], advice_delay=None, cutoff_step=50).learn(60)
    assert model.guidance.queries == 0
    future, answer = model.advisor.futures[0]
    future.set_result(answer)
    model.learn(5, reset_num_timesteps=False)
    assert model.guidance.used == 10
    assert not model.guided
    assert [guidance for _, guidance in model.sampler.batches(3, 4)] == [None] * 3


def test_labels_need_no_description_from_environments_in_processes_of_their_own():
    class Pushing:
        def ask(self, query):
            return finished(AdviceAnswer.of(np.full((len(query), 1), 0.5)))

    env = make_vec_env("Pendulum-v1", 2, vec_env_cls=SubprocVecEnv)
    model = make(Pushing(), env).learn(80)
    assert (model.guidance.used, model.consultation.scene) == (20, None)
    env.close()


def test_when_steps_are_counted_anew_guidance_has_all_its_time_again():
    model = make(Scripted(), cutoff="linear", cutoff_step=70, cutoff_decay=100).learn(90)
    assert (model.released_at, model.guidance.queries, model.guidance.used) == (70, 2, 20)
    model.learn(50)
    assert (model.num_timesteps, model.released_at, model.advice_factor) == (50, -1, 1.0)
    assert (model.guidance.queries, model.guidance.used) == (1, 30), "what was advised before is still known"
    assert model.guidance.age(50) == (110 + 80 + 20) / 3, "steps ago"
    model.learn(50, reset_num_timesteps=False)
    assert (model.guidance.queries, model.released_at) == (2, 70)


def test_a_second_training_is_not_released_by_what_the_first_one_achieved():
    model = make(Scripted(), trigger=[30], cutoff="adaptive", cutoff_successes=3, cutoff_rate=0.0, cutoff_step=9_000)
    model.learn(40)
    for _ in range(25):
        model.successes.add(np.array([True]), [{"is_success": True}])
    model.learn(10, reset_num_timesteps=False)
    assert 0 < model.released_at <= 50
    model.learn(20)
    assert model.guided
    assert model.successes.own < 3


def test_where_nothing_guides_any_longer_or_what_did_is_gone_the_actor_is_guided_by_nothing():
    """Another thread gives the last plan up, or drops a plan beside, after an update has looked whether one guides."""
    model = make(Scripted(plan=Plan((Phase("target"),))), trigger=[30], act=0.5, cutoff_step=9_000).learn(40)
    batches = model.sampler.draw(2, 8)
    model.guidance.trusted = [0]
    assert all(model.sampler.guidance(batches))
    for gone in ([], [-2]):
        model.guidance.trusted = gone
        assert model.sampler.guidance(batches) == [None, None]


def test_an_advisor_is_shown_the_environments_own_units_at_an_episodes_end_too():
    env = VecNormalize(DummyVecEnv([lambda: PointEnv(limit=None)]), norm_reward=False)
    model = make(Scripted(), env, trigger=[40], states_per_query=39, selection="recent").learn(45)
    (query,) = model.advisor.queries
    moved = np.abs(query.next_states[:, :3] - query.states[:, :3])
    assert moved.max() <= 0.1 + 1e-5, "a tenth of an action of at most 1"
    np.testing.assert_allclose(query.next_states[:, 3:], query.states[:, 3:], atol=1e-5)  # the goal stays where it is


def test_own_successes_guide_once_advice_is_released():
    class Winning(PointEnv):
        def step(self, action):
            observation, reward, *ended, info = super().step(action)
            return observation, reward, *ended, {**info, "is_success": True}

    settings = {"imitation_weight": 0.7, "guidance_batch_size": 12, "cutoff_step": 60, "gate": "log-prob"}
    model = make(Scripted(), Winning(), **settings).learn(55)
    ((_, advised),) = model.sampler.batches(1, 4)
    assert (advised.weight, advised.hold) == (10.0, 1.0)
    model.learn(10, reset_num_timesteps=False)
    ((_, imitated),) = model.sampler.batches(1, 4)
    assert (imitated.weight, len(imitated.actions)) == (0.7, 12)
    rows = {tuple(row) for row in model.replay_buffer.actions[:65, 0].clip(-0.98, 0.98).tolist()}
    assert {tuple(row) for row in imitated.actions.tolist()} <= rows
    model.imitation_weight = 0.0
    assert [beside for _, beside in model.sampler.batches(1, 4)] == [None]
