"""What is compared in the bench: every method trains, and each rival does what its name says."""

import csv
from typing import Any

import numpy as np
import pytest
import torch as th

pytest.importorskip("benchmarks.advice.advisors", reason="run from the repository's root")

from benchmarks.advice import trainer
from benchmarks.advice.ensemble import OwnRlpd
from benchmarks.advice.environments import make_env
from benchmarks.advice.report import write_report
from benchmarks.advice.rivals import Preferring
from benchmarks.advice.setting import FIXED, METHODS, Setting, make_model

OF_THE_ARM = [method for method in METHODS if method not in ("varl-videos", *FIXED)]  # those are of Meta-World, or varl


def test_the_bench_acts_by_the_models_own_policy():
    model = make_model(Setting("reach", "sac", 0, 100, 0.0, net=16))
    model.observation_space.seed(0)
    act, states = trainer.Acting(model), np.stack([model.observation_space.sample() for _ in range(20)])
    for _ in range(2):
        expected = model.predict(states, deterministic=True)[0]
        assert np.allclose([act(state, deterministic=True) for state in states], expected, atol=1e-5)
        with th.no_grad():
            for parameter in model.actor.parameters():
                parameter.mul_(1.5)  # an update
    drawn = np.arctanh(
        [act(states[0], deterministic=False) for _ in range(4_000)]
    )  # tanh would hide, or enlarge, a gap
    with th.no_grad():
        mean, log_std, _ = model.actor.get_action_dist_params(th.as_tensor(states[:1]))
    for z, share in ((-1.2816, 0.1), (0.0, 0.5), (1.2816, 0.9)):
        assert np.allclose((np.quantile(drawn, share, axis=0) - mean.numpy()) / log_std.exp().numpy(), z, atol=0.1)


def test_every_method_trains_and_reports(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "POINTS", 2)
    monkeypatch.setattr(trainer, "EPISODES", 2)
    monkeypatch.setattr(OwnRlpd, "UTD", 2)
    altered = (("learning_starts", 20), ("trigger", (40,)), ("states_per_query", 8), ("batch_size", 16))
    settings = [Setting("reach", method, 0, 120, 0.1, net=16, altered=altered) for method in OF_THE_ARM]
    for setting in settings:
        trainer.train(setting, tmp_path / "evals.csv", lambda steps: None)
    with (tmp_path / "evals.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["method"].split("[")[0] for row in rows} == set(OF_THE_ARM)
    assert all(row["success_rate"] for row in rows if row["step"] == "120")
    write_report(tmp_path / "evals.csv", tmp_path)
    assert "varl-labels" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_rivals_say_what_they_got_from_the_advisor(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "POINTS", 1)
    altered = (
        ("learning_starts", 10),
        ("trigger", [20, 50]),
        ("states_per_query", 8),
        ("batch_size", 16),
        ("window", 20),
    )
    for method in ("rlpd", "execute", "execute-plans", "varl-labels"):
        trainer.train(
            Setting("reach", method, 0, 60, 0.1, net=16, altered=altered), tmp_path / "evals.csv", lambda _: None
        )
    with (tmp_path / "evals.csv").open() as file:
        rows = {row["method"].split("[")[0]: row for row in csv.DictReader(file)}
    assert {name: (row["queries"], row["labels"]) for name, row in rows.items()} == {
        "rlpd": ("0", "16"),
        "execute": ("2", "16"),
        "execute-plans": ("2", "16"),
        "varl-labels": ("2", "16"),
    }


@pytest.mark.parametrize("method", ["rlpd", "execute"])
def test_the_seconds_of_who_acts_are_counted(method):
    setting = Setting("reach", method, 0, 60, 0.1, net=16, altered=(("trigger", [20]), ("states_per_query", 8)))
    model: Any = make_model(setting)
    model.executor.seconds = 1.5
    row = dict(zip(trainer.COLUMNS, trainer._row(setting, model, None, [], -1, 0.0), strict=True))
    assert row["advisor_s"] == 1.5


def test_plans_that_are_executed_act_in_every_other_episode_and_are_not_cloned():
    altered = (("learning_starts", 10), ("trigger", [20]), ("states_per_query", 8), ("window", 20))
    model: Any = make_model(Setting("reach", "execute-plans", 0, 200, 0.0, misplaced=0.0, net=16, altered=altered))
    act = trainer.Acting(model)
    for _ in range(30):
        trainer.advance(model, act)
    assert len(model.guidance.plans) == 1
    own = np.zeros((1, 3), np.float32)
    advised = model.guidance.label(model._last_obs, model.consultation.scene, [0])
    for ended in (2, 3):
        model.successes.ended = ended
        model.turns.note(np.array([True]), [{}])
        assert np.allclose(model.turns.with_advice(own), own if ended == 2 else advised)
    assert not len(model.successes)
    assert [guidance for _, guidance in model.sampler.batches(2, 8)] == [None, None]
    while not len(model.successes):
        trainer.advance(model, act)
    for _, guidance in model.sampler.batches(2, 8):
        assert (guidance.weight, guidance.hold) == (model.imitation_weight, 0.0)
    model.released_at = 60_000
    model.num_timesteps = 80_000
    assert model.turns.with_advice(own) is own, "as long as they would guide"


def advised_by_plans(method):
    altered = (("learning_starts", 10), ("trigger", [20]), ("states_per_query", 8), ("batch_size", 16))
    model = make_model(Setting("reach", method, 0, 200, 0.0, net=16, misplaced=0.0, altered=altered))
    act = trainer.Acting(model)
    for _ in range(40):
        trainer.advance(model, act)
    return model


def test_training_success_is_that_of_the_policys_own_episodes():
    altered = (("learning_starts", 10), ("trigger", [20]), ("states_per_query", 8), ("batch_size", 16))
    model: Any = make_model(Setting("reach", "varl", 0, 600, 0.0, net=16, misplaced=0.0, altered=altered))
    act = trainer.Acting(model)
    told = [trainer.advance(model, act) for _ in range(400)]
    assert model.ep_success_buffer is not None
    assert sum(one is not None for one in told) < len(model.ep_success_buffer) == model.successes.ended
    assert sum(one is True for one in told) == model.successes.own < sum(model.ep_success_buffer), "the plan's succeed"


def test_the_plan_alone_acts_and_is_examined():
    model: Any = advised_by_plans("plan")
    act, told = trainer.Acting(model), list[bool]()
    while len(told) < 4:
        if (ended := trainer.advance(model, act)) is not None:
            told.append(ended)
    assert trainer.examine(model, make_env("reach", 1)) == 1.0
    assert all(told[2:]), "the first may have begun before the plan came"
    assert model.guidance.tallies[0][0] >= 2, "it stands trial"
    model.guidance.tallies = {0: [0, 1]}
    model.turns.note(np.array([True]), [{}])
    assert model.turns.tried != [None], "and acts where all have failed"


def test_what_is_proposed_acts_and_counts_where_the_critics_prefer_it():
    """IBRL: the greater of two values, in acting and in the targets."""
    model: Any = advised_by_plans("ibrl")
    advised, own = model.guidance.label(model._last_obs, model.consultation.scene), np.full((1, 3), -0.9, np.float32)
    for sign in (1.0, -1.0):  # critics that prefer one of the two, and then the other
        model.values = lambda _, states, *tried, sign=sign: [sign * th.as_tensor(a).sum(1, keepdim=True) for a in tried]
        better = max(advised, own, key=lambda action: sign * action.sum())
        assert np.allclose(model.turns.with_advice(own), better)
        model.predict = lambda observation, deterministic: (own[0], None)
        assert np.allclose(model(model._last_obs[0], True), better[0]), "as it is examined"
    (batch,) = super(type(model.sampler), model.sampler).draw(1, 16)
    given = model.guidance.label(batch.next_observations.numpy(), model.consultation.scene)
    model.advised = lambda observations, otherwise: given
    model.values = lambda _, states, *actions: [th.full((len(states), 1), 9.0 * (a is given)) for a in actions]
    batch = batch._replace(dones=(th.arange(16) % 2).float().reshape(-1, 1))
    gain = model.bootstrapped(batch).rewards - batch.rewards
    assert (gain[batch.dones == 0] > 0).all(), "the plans' action is worth more than the policy's"
    assert (gain[batch.dones == 1] == 0).all()


def test_the_learned_reward_prefers_what_the_teacher_prefers(monkeypatch):
    monkeypatch.setattr(Preferring, "EVERY", 200)
    model: Any = make_model(Setting("reach", "preferences", 0, 1_000, 0.0, net=16))
    act = trainer.Acting(model)
    for _ in range(400):
        trainer.advance(model, act)
    assert model.asked_labels == 2 * model.SESSION
    order = np.argsort(model._progress)
    (batch,) = model.sampler.draw(1, 16)
    worst, best = (th.from_numpy(model.replay_buffer.next_observations[part, 0]) for part in (order[:40], order[-40:]))
    learned = [model.rewarded(batch._replace(next_observations=x, rewards=0)).rewards.mean() for x in (worst, best)]
    assert -1 < learned[0] < learned[1] - 0.1 < 0


@pytest.mark.parametrize("method", ["varl", "rlpd+", "rlpd-own", "ibrl"])
def test_n_step_targets_are_taken_by_rivals_too(method):
    """``--set n_steps=3``; what was shown or proposed is discounted by as many steps."""
    altered = (("n_steps", 3), ("learning_starts", 20), ("trigger", [40]), ("states_per_query", 8), ("batch_size", 16))
    model: Any = make_model(Setting("reach", method, 0, 80, 0.0, net=16, altered=altered))
    act = trainer.Acting(model)
    for _ in range(60):
        trainer.advance(model, act)
    (batch,) = model.sampler.draw(1, 16)
    assert len(batch.rewards) == 16
    assert batch.discounts.min() == pytest.approx(model.gamma**3)
    model.train(1, 16)


def test_the_published_ensemble_makes_targets_of_a_random_pair(monkeypatch):
    """RLPD, algorithm 1: ten critics apart from each other, the lesser of two of them a target, 20 updates."""
    altered = (("learning_starts", 20), ("trigger", [40]), ("states_per_query", 8))
    model: Any = make_model(Setting("reach", "rlpd-own", 0, 80, 0.0, net=16, altered=altered))
    act = trainer.Acting(model)
    for _ in range(40):
        trainer.advance(model, act)
    batches = [batch for batch, _ in model.sampler.batches(20, 16)]
    q = th.stack(model.critic(batches[0].observations, batches[0].actions))
    assert q.shape == (10, 16, 1)
    assert len({round(float(member.mean()), 6) for member in q}) == 10
    seen: list[Any] = []
    monkeypatch.setattr(model.sampler, "batches", lambda n, size: ((batch, None) for batch in batches[:n]))
    target = model.critic_target.forward

    def noted(*args: Any) -> Any:
        seen.append(target(*args))
        return seen[-1]

    monkeypatch.setattr(model.critic_target, "forward", noted)
    monkeypatch.setattr(th, "randperm", lambda n: th.arange(n - 1, -1, -1))
    steps: list[th.Tensor] = []
    monkeypatch.setattr(model, "_step", lambda optimizer, loss: steps.append(loss.detach()))
    monkeypatch.setattr(
        model.actor, "action_log_prob", lambda states: (th.zeros(len(states), 3), th.zeros(len(states)))
    )
    model.train(1, 16)
    assert len(steps) == 20 + 2, "of the critics, then temperature and actor"
    first = batches[0]
    least = th.minimum(seen[0][9], seen[0][8])
    wanted = first.rewards + (1 - first.dones) * model.gamma * least
    assert steps[0] == pytest.approx(float(((q - wanted) ** 2).mean(dim=(1, 2)).sum().detach()), rel=1e-4)
    assert model._n_updates == 1


def test_a_fixed_cutoff_differs_in_when_advice_is_let_go_alone():
    adaptive, fixed = (make_model(Setting("reach", method, 0, 80, 0.0, net=16)) for method in ("varl", "varl-30k"))
    assert fixed._cutoff.releases(30_000, 0, 0.0)
    assert not fixed._cutoff.releases(29_999, 1_000, 1.0)
    assert adaptive._cutoff.releases(10_000, 100, 1.0)
    assert fixed._cutoff.factor(35_000, 30_000) == adaptive._cutoff.factor(35_000, 30_000) == 0.5


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_varl_is_above_sac_within_minutes(tmp_path):
    from benchmarks.advice.smoke import main

    assert main(tmp_path) == 0
