"""The pictures that an advisor is shown: when they are taken, and when they are let go."""

from itertools import pairwise

import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize
from varl_agent.sac.varl import VARL

from .point import PointEnv, Scripted, make


def test_frames_are_those_before_the_action():
    class Seeing(Scripted):
        wants_frames = True

    model = make(Seeing(), trigger=[60], states_per_query=12, selection="recent").learn(62)
    frames = model.advisor.queries[0].frames
    assert frames[-1] is not None
    for frame, following in pairwise(frames[1:]):
        assert following == ["reset"] or frame == ["reset"] or following[0] == frame[0] + 1
    assert model.env.get_attr("capture") == [False]


def test_an_environment_that_is_put_in_anothers_place_takes_frames_too():
    class Seeing(Scripted):
        wants_frames = True

    model = make(Seeing(), trigger=[60], states_per_query=12, window=30, selection="recent").learn(40)
    assert model.env.get_attr("capture") == [True]
    model.set_env(PointEnv())
    model.learn(18, reset_num_timesteps=False)
    assert model.env.get_attr("capture") == [True]
    model.learn(5, reset_num_timesteps=False)
    assert None not in model.advisor.queries[0].frames
    assert model.env.get_attr("capture") == [False]


@pytest.mark.parametrize("wrap", [VecNormalize, VecMonitor])
def test_an_episodes_first_frame_passes_through_wrappers(wrap):
    class Seeing(Scripted):
        wants_frames = True

    settings = {"trigger": [60], "states_per_query": 40, "window": 50, "selection": "recent"}
    model = make(Seeing(), wrap(DummyVecEnv([PointEnv])), **settings).learn(62)
    frames = model.advisor.queries[0].frames
    assert None not in frames
    assert ["reset"] in frames


def test_frames_are_let_go_once_no_question_can_show_them():
    class Seeing(Scripted):
        wants_frames = True

    model = make(Seeing(), trigger=[60], states_per_query=12, window=30).learn(58)
    frames = [transition.frames for transition in model.consultation.recent]
    assert any(frame is not None for frame in frames)
    model.learn(10, reset_num_timesteps=False)
    assert all(transition.frames is None for transition in model.consultation.recent)
    assert model.consultation._frames == [None]


def test_to_save_takes_no_frames_from_the_question_that_comes(tmp_path):
    class Seeing(Scripted):
        wants_frames = True

    model = make(Seeing(), trigger=[60], states_per_query=12, selection="recent").learn(58)
    model.save(tmp_path / "model")
    assert all(t.frames is None for t in VARL.load(tmp_path / "model", env=PointEnv()).consultation.recent)
    model.learn(5, reset_num_timesteps=False)
    assert None not in model.advisor.queries[0].frames[:9], "those of before it was saved"


def test_of_a_planner_who_looks_once_few_frames_are_taken():
    class Looking(Scripted):
        wants_frames, pictures = True, 1

    model = make(Looking(), trigger=[60], states_per_query=12, window=48, selection="spread").learn(62)
    frames = model.advisor.queries[0].frames
    assert frames[-1] is not None
    assert frames[:6] == [None] * 6
    assert model.env.get_attr("capture") == [False]
