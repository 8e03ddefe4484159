"""Saving and loading as Stable-Baselines3's users know it."""

import random
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from varl_agent.advice.messages import AdviceAnswer, finished
from varl_agent.sac.varl import VARL

SMALL: dict[str, Any] = {"learning_starts": 10, "batch_size": 8, "seed": 0, "device": "cpu"}
NET: dict[str, Any] = {"net_arch": [8, 8]}


class Pushing:
    """Always pushes one way; notes what it was asked."""

    def __init__(self) -> None:
        self.queries: list[Any] = []

    def ask(self, query: Any) -> Any:
        self.queries.append(query)
        return finished(AdviceAnswer.of(np.full((len(query), 1), 0.5), "pushing"))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = VARL(
        "MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [8, 8]}, advisor=Pushing(), trigger=[20], **SMALL
    )
    model.learn(40)
    model.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ("gate", "distance"),
        ("gate_threshold", 0.3),
        ("cutoff", "hard"),
        ("cutoff_step", 77),
        ("cutoff_decay", 5),
        ("cutoff_successes", 3),
        ("cutoff_rate", 0.2),
        ("trigger", [50]),
        ("selection", "recent"),
        ("window", 10),
        ("success_fraction", 0.1),
        ("max_grad_norm", 1.0),
        ("update", "autograd"),
    ],
)
def test_a_setting_given_to_load_counts(saved: Path, changed: str, value: Any) -> None:
    loaded = VARL.load(saved, env=gym.make("Pendulum-v1"), **{changed: value})
    assert getattr(loaded, changed) == value
    assert (loaded._gate.name, loaded._cutoff.step) == (loaded.gate, loaded.cutoff_step)
    assert loaded.guidance.used > 0, "what was advised is still known"
    loaded.learn(20, reset_num_timesteps=False)


def test_loading_leaves_the_random_numbers_of_the_process_alone(tmp_path: Path) -> None:
    """As SB3's SAC without a seed of its own: two runs of other seeds that load the same model draw other numbers."""
    VARL("MlpPolicy", "Pendulum-v1", policy_kwargs=NET, **{**SMALL, "seed": None}).learn(20).save(tmp_path / "model")
    drawn = []
    for seed in (5, 6):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        model = VARL.load(tmp_path / "model")
        model.set_parameters(model.get_parameters())
        drawn.append((random.random(), np.random.rand()))  # noqa: NPY002
    random.seed(6)
    np.random.seed(6)  # noqa: NPY002
    assert drawn[1] == (random.random(), np.random.rand())  # noqa: NPY002
    assert drawn[0] != drawn[1]


def test_parameters_are_those_of_the_networks(saved: Path) -> None:
    assert set(VARL.load(saved).get_parameters()) == {
        "policy", "actor.optimizer", "critic.optimizer", "ent_coef_optimizer",
    }  # fmt: skip


def test_an_advisor_may_come_later(saved: Path) -> None:
    model = VARL.load(saved, env=gym.make("Pendulum-v1"), trigger=[20, 60])
    assert model.advisor is None
    model.advisor = Pushing()
    model.learn(30, reset_num_timesteps=False)
    assert len(model.advisor.queries) == 1
    assert model.guidance.queries == 2


def test_learn_can_be_set_up_by_stable_baselines3s_own_names() -> None:
    model = VARL("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [8, 8]}, **SMALL)
    model._setup_learn(
        total_timesteps=10, callback=None, reset_num_timesteps=False, tb_log_name="x", progress_bar=False
    )
    assert model._last_obs is not None
