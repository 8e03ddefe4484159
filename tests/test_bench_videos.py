"""Advice from videos: a moment goes on elsewhere as it would here, and a gripper in it is followed to where it went."""

from __future__ import annotations

import csv
import os

import numpy as np
import pytest

os.environ.setdefault("MUJOCO_GL", "egl")
pytest.importorskip("metaworld", reason="Meta-World is not installed: pip install metaworld")

from varl_common.errors import VarlError

from benchmarks.advice import trainer
from benchmarks.advice.environments import make_env
from benchmarks.advice.expert_plans import expert
from benchmarks.advice.film.moments import Moment
from benchmarks.advice.film.tracking import Camera, Shot, follow
from benchmarks.advice.film.videos import STEPS, STRIDE, Videos
from benchmarks.advice.setting import Setting

TASK = "drawer-open-v3"


@pytest.fixture
def videos() -> Videos:
    made = Videos(TASK, error_rate=0.0, seed=0)
    try:
        made._shot()
    except Exception as error:  # whatever OpenGL says
        pytest.skip(f"this machine cannot render ({error}): install libegl1")
    return made


def test_a_moment_goes_on_in_another_copy_as_it_would_have_here() -> None:
    here, there, policy = make_env(TASK, 3), make_env(TASK, 9), expert(TASK)
    there.reset()
    here.reset()
    observation, _ = here.reset()
    rng = np.random.default_rng(0)
    for _ in range(15):
        observation, *_ = here.step(rng.uniform(-1, 1, 4).astype(np.float32))
    Moment.of(here.unwrapped._env).restore(there.unwrapped._env)  # type: ignore[attr-defined]
    for _ in range(40):
        action = np.clip(policy.get_action(observation.astype(np.float64)), -1.0, 1.0).astype(np.float32)
        observation, *_ = here.step(action)
        elsewhere, *_ = there.step(action)
        assert np.allclose(observation, elsewhere, atol=1e-4)


def test_the_gripper_is_followed_to_where_it_went(videos: Videos) -> None:
    env, policy = make_env(TASK, 0), expert(TASK)
    observation, _ = env.reset()
    waypoints = videos._tracked(Moment.of(env.unwrapped._env), np.random.default_rng(0))  # type: ignore[attr-defined]
    went, won = [observation[:3]], False
    for step in range(STEPS):
        if not won:
            action = np.clip(policy.get_action(observation.astype(np.float64)), -1.0, 1.0)
            observation, _, won, _, _ = env.step(action.astype(np.float32))
        if (step + 1) % STRIDE == 0:
            went.append(observation[:3])
    off = np.linalg.norm(waypoints[:, :3] - np.array(went), axis=1)
    assert np.isfinite(off).mean() > 0.9
    assert np.nanmedian(off) < 0.015 < np.linalg.norm(went[0] - went[-1]), "of a way of 20 cm"


def test_what_leaves_the_picture_is_lost_and_not_guessed() -> None:
    camera = Camera(100.0, np.array([49.5, 49.5]), np.eye(4))
    pattern = np.random.default_rng(0).integers(0, 255, (20, 20)).astype(np.uint8)
    shots = []
    for column in (40, 44, 48, 85, 99):
        gray, depth = np.full((100, 100), 60, np.uint8), np.full((100, 100), 3.0)
        width = min(20, 100 - column)
        gray[40:60, column : column + width], depth[40:60, column : column + width] = pattern[:, :width], 1.0
        shots.append(Shot(gray, depth))
    path = follow(shots, camera, np.array([0.0, 0.0, 1.0]), near=0.1)
    assert path[:3, 0] == pytest.approx([0.0, 0.04, 0.08], abs=0.006)
    assert np.isnan(path[-1]).all()


def test_training_is_advised_by_them(videos: Videos, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(trainer, "POINTS", 1)
    monkeypatch.setattr(trainer, "EPISODES", 1)
    altered = (("learning_starts", 20), ("trigger", (40,)), ("states_per_query", 2), ("batch_size", 16), ("window", 40))
    trainer.train(Setting(TASK, "varl-videos", 0, 80, 0.5, net=16, altered=altered), tmp_path / "e.csv", lambda _: None)
    with (tmp_path / "e.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["queries"], row["labels"]) == ("1", "2")
    assert float(row["advisor_s"]) > 0.0
    with pytest.raises(VarlError, match="Meta-World"):
        Setting("reach", "varl-videos", 0, 80, 0.1)
