"""A policy from pictures: Stable-Baselines3's own algorithms take the environment as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from stable_baselines3 import SAC
from stable_baselines3.common.env_checker import check_env
from varl_robot_env.env.arm_env import ArmEnv

from benchmarks.pixels import training


@pytest.fixture
def env() -> Iterator[ArmEnv]:
    env = ArmEnv("reach", observation="pixels")
    if env.arm.simulation.camera.render(env.arm.simulation.data) is None:
        pytest.skip(str(env.arm.simulation.camera.error))
    yield env
    env.close()


def test_stable_baselines3_checks_it(env: ArmEnv, recwarn: pytest.WarningsRecorder) -> None:
    check_env(env)
    assert not [str(one.message) for one in recwarn if "image" in str(one.message).lower()]


def test_an_algorithm_of_stable_baselines3_runs_on_it(env: ArmEnv) -> None:
    model = SAC("MultiInputPolicy", env, buffer_size=50, learning_starts=6, batch_size=4, gradient_steps=1)
    model.learn(10)
    assert model._n_updates == 4
    action, _ = model.predict(env.reset(seed=1)[0], deterministic=True)
    assert env.action_space.contains(action)


@pytest.mark.usefixtures("env")  # which skips where nothing can be rendered
def test_the_bench_stops_the_rival_when_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "EPISODES", 1)
    success, made = training.train_sb3("reach", 0.0, steps=60, seed=0)
    assert success in (0.0, 1.0)
    assert made == 1
