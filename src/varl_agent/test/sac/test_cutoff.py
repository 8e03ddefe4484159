"""When advice is released, and how it fades."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from varl_agent.advice.messages import AdviceAnswer, AdviceQuery, finished
from varl_agent.replay.success_index import RECENT_EPISODES
from varl_agent.sac.cutoff import NOT_RELEASED, Cutoff
from varl_agent.sac.varl import VARL


@pytest.mark.parametrize(
    ("step", "successes", "rate", "released"),
    [
        (500, 10, 0.7, True),
        (500, 9, 0.7, False),
        (500, 10, 0.69, False),
        (500, 1_000, 0.0, False),
        (999, 0, 0.0, False),
        (1_000, 0, 0.0, True),
    ],
)
def test_adaptive_asks_for_successes_and_their_rate_or_the_last_step(
    step: int, successes: int, rate: float, released: bool
) -> None:
    cutoff = Cutoff("adaptive", step=1_000, decay=100, successes=10, rate=0.7)
    assert cutoff.releases(step, successes, rate) == released


@pytest.mark.parametrize("name", ["hard", "linear"])
def test_the_others_look_at_the_step_alone(name: str) -> None:
    cutoff = Cutoff(name, step=1_000, successes=10, rate=0.7)
    assert not cutoff.releases(999, 1_000, 1.0)
    assert cutoff.releases(1_000, 0, 0.0)


@pytest.mark.parametrize(
    ("name", "decay", "factors"),
    [
        ("hard", 100, [1.0, 0.0, 0.0, 0.0]),
        ("linear", 100, [1.0, 1.0, 0.75, 0.0]),
        ("adaptive", 0, [1.0, 0.0, 0.0, 0.0]),
    ],
)
def test_after_the_release_advice_fades_or_is_gone(name: str, decay: int, factors: list[float]) -> None:
    cutoff = Cutoff(name, step=1_000, decay=decay)
    found = [
        cutoff.factor(step, released) for step, released in ((0, NOT_RELEASED), (400, 400), (425, 400), (500, 400))
    ]
    assert found == factors


class Succeeding(gym.Env):
    """Episodes of three steps, of which the middle one alone is a success."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return self.observation_space.sample(), 0.0, self.t == 3, False, {"is_success": self.t == 2}


class Advisor:
    """Knows nothing better than 0."""

    def ask(self, query: AdviceQuery) -> Future[AdviceAnswer]:
        return finished(AdviceAnswer.of(np.zeros((len(query), 1)), "test"))


def test_advice_is_released_whatever_window_stable_baselines3_logs_over() -> None:
    settings: dict[str, Any] = {
        "learning_starts": 1_000,
        "cutoff_successes": 5,
        "stats_window_size": 4,
        "device": "cpu",
    }
    model = VARL("MlpPolicy", Succeeding(), advisor=Advisor(), trigger=[5], **settings)
    model.learn(3 * RECENT_EPISODES + 3)
    assert model.released_at == 3 * RECENT_EPISODES, "once there are enough episodes to tell a rate"
