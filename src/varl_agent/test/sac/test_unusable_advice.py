"""Advice that cannot be used, and advisors that fail: training goes on without."""

import numpy as np
import pytest
from varl_agent.advice.messages import ADVICE_LIMIT, AdviceAnswer, finished
from varl_agent.sac.varl import VARL
from varl_common.advice_status import AdviceStatus
from varl_common.errors import VarlError
from varl_common.plan import Phase, Plan

from .point import PointEnv, Scripted, make

NO_TOOL = {"entities": ["hand", "target"]}
TWO_AXES = {"action_names": ["dx", "dy"], "action_scale": np.full(2, 0.1)}
NO_STATE_SO_LONG = {"entity_indices": [0, 9]}


def wrong_description(change):
    env = PointEnv()
    if isinstance(change, dict):
        vars(env.description).update(change)
    else:
        env.description = change
    return env


def test_refused_rows_are_kept_for_the_record_and_never_used():
    def refuse_half(actions):
        actions[::2] = np.nan
        return actions

    model = make(Scripted(refuse_half), trigger=[30]).learn(60)
    assert (model.guidance.asked, model.guidance.used) == (10, 5)
    assert (model.guidance.status == AdviceStatus.REFUSED).sum() == 5
    assert np.isfinite(model.guidance.sample(100)[1]).all()
    assert (np.abs(model.guidance.sample(100)[1]) <= ADVICE_LIMIT).all()


@pytest.mark.parametrize("spoil", [lambda a: a[:3], lambda a: a[:, :2], lambda a: np.full_like(a, np.nan)])
def test_an_answer_that_cannot_be_used_leaves_plain_sac(spoil):
    model = make(Scripted(spoil), trigger=[30]).learn(60)
    assert (model.guidance.queries, model.guidance.used) == (1, 0)
    assert [guidance for _, guidance in model.sampler.batches(3, 4)] == [None] * 3


def test_an_advisor_that_fails_or_is_late_does_not_stop_training():
    class Broken:
        def ask(self, query):
            raise ConnectionError("no route")

    model = make(Broken(), trigger=[30]).learn(60)
    assert set(model.guidance.status) == {AdviceStatus.UNAVAILABLE}
    model = make(Scripted(hold=True), trigger=[30], advice_deadline=0.2).learn(60)
    assert set(model.guidance.status) == {AdviceStatus.TIMEOUT}


@pytest.mark.parametrize("answer", [None, "left", AdviceAnswer(np.full((10, 3), "left"), np.zeros(10))])
@pytest.mark.parametrize("delay", [0, None])
def test_what_is_no_answer_does_not_stop_training(answer, delay):
    class Confused:
        def ask(self, query):
            return finished(answer)

    model = make(Confused(), trigger=[30], advice_delay=delay).learn(60)
    assert (model.guidance.queries, set(model.guidance.status)) == (1, {AdviceStatus.UNAVAILABLE})


@pytest.mark.parametrize(
    "plan",
    [
        {"phases": []},
        Plan(("target",)),
        Plan((Phase("target", tolerance=None),)),
        Plan((Phase("target", offset=(0.1, 0.2)),)),
    ],
)
def test_what_is_no_plan_does_not_stop_training_and_the_rest_of_its_answer_counts(plan, caplog):
    model = make(Scripted(plan=plan), trigger=[30]).learn(60)
    assert (model.guidance.queries, model.guidance.used, model.guidance.plans) == (1, 10, [])
    assert "a plan of scripted is not used" in caplog.text


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("a point", "description, of type str, lacks"),
        (NO_TOOL, "expected 'tool' among them"),
        (TWO_AXES, "its actions' shape is (10, 2), expected (n, 3)"),
        (NO_STATE_SO_LONG, "is not used"),
    ],
)
def test_a_plan_is_not_used_where_the_description_is_no_scene_of_the_environment(change, why, caplog):
    model = make(Scripted(plan=Plan((Phase("target"),))), wrong_description(change), trigger=[30]).learn(60)
    assert (model.guidance.used, model.guidance.plans) == (10, [])
    assert why in caplog.text


@pytest.mark.parametrize(("change", "why"), [(None, "it has no `description`"), (NO_TOOL, "'tool' among them")])
@pytest.mark.parametrize("load", [True, False])
@pytest.mark.parametrize("act", [0.0, 1.0])
def test_a_model_whose_plans_its_new_environment_does_not_fit_says_so(change, why, load, act, tmp_path):
    env = wrong_description(change)
    if change is None:
        del env.description
    model = make(Scripted(plan=Plan((Phase("target"),))), trigger=[30], act=act, cutoff_step=9_000).learn(60)
    model.save(tmp_path / "model")
    if load:
        model = VARL.load(tmp_path / "model", env=env, advisor=Scripted())
    else:
        model.set_env(env)
    with pytest.raises(
        VarlError, match=f"plans do not fit its environment: .*{why}.*; give the environment .* or load"
    ):
        model.learn(60, reset_num_timesteps=False)
    VARL.load(tmp_path / "model", env=env, cutoff="hard", cutoff_step=0).learn(60, reset_num_timesteps=False)


@pytest.mark.parametrize("delay", [0, None])
def test_an_advisor_without_a_future_does_not_stop_training(delay):
    class Mute:
        def ask(self, query):
            return None

    assert make(Mute(), trigger=[30], advice_delay=delay).learn(60).guidance.used == 0
