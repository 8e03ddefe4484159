"""Every observation that Stable-Baselines3's SAC takes, VARL takes, and the network sees it once scaled."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.preprocessing import preprocess_obs
from varl_agent.advice.messages import AdviceAnswer, finished
from varl_agent.sac.batches import MAX_AT_ONCE, batches_at_once
from varl_agent.sac.varl import VARL
from varl_common.errors import VarlError

SMALL: dict[str, Any] = {"learning_starts": 10, "batch_size": 8, "buffer_size": 100, "seed": 0, "device": "cpu"}
NET: dict[str, Any] = {"net_arch": [8, 8]}


class Seen(gym.Env):
    """Observations drawn from ``space``; episodes of ten steps."""

    action_space = spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, space: spaces.Space) -> None:
        self.observation_space, self.t = space, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return self.observation_space.sample(), 0.0, False, self.t >= 10, {"is_success": True}


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(5),
        spaces.MultiDiscrete([3, 4]),
        spaces.MultiBinary(6),
        spaces.Box(0, 255, (36, 36, 1), np.uint8),
        spaces.Box(0, 255, (7,), np.uint8),
        spaces.Box(-np.inf, np.inf, (3,), np.float64),
        spaces.Box(-2, 3, (2, 4), np.float32),
    ],
    ids=str,
)
@pytest.mark.parametrize("update", ["autograd", "auto"])
def test_any_observation_is_learned_from(space: spaces.Space, update: str) -> None:
    VARL("MlpPolicy", Seen(space), policy_kwargs=NET, update=update, **SMALL).learn(30)


@pytest.mark.parametrize("normalize", [True, False])
def test_an_image_is_scaled_once(normalize: bool) -> None:
    space = spaces.Box(0, 255, (36, 36, 1), np.uint8)
    kwargs = {**NET, "normalize_images": normalize}
    model = VARL("MlpPolicy", Seen(space), policy_kwargs=kwargs, **SMALL)
    dark, light = (th.full((1, 1, 36, 36), value, dtype=th.uint8) for value in (0, 255))
    extract = model.actor.features_extractor
    features = [extract(preprocess_obs(each, model.observation_space, normalize)) for each in (dark, light)]  # type: ignore[arg-type]
    apart = (features[1] - features[0]).unique().tolist()
    assert apart == pytest.approx([1.0 if normalize else 2.0])  # in [0, 1] as SB3 scales it, or else in [-1, 1]


def test_large_observations_are_drawn_one_batch_at_a_time() -> None:
    states = spaces.Box(-1, 1, (39,), np.float32)
    picture = spaces.Box(0, 255, (3, 96, 96), np.uint8)
    assert batches_at_once(states, 256) == MAX_AT_ONCE
    assert batches_at_once(picture, 256) == 1
    assert batches_at_once(spaces.Dict({"state": states, "picture": picture}), 256) == 1
    assert batches_at_once(spaces.Dict({"state": states}), 256) == MAX_AT_ONCE


@pytest.mark.parametrize("fraction", [0.5, 0.95, 0.999])
def test_any_share_of_a_batch_may_be_of_successes(fraction: float) -> None:
    model = VARL("MlpPolicy", Seen(spaces.Box(-1, 1, (3,))), policy_kwargs=NET, success_fraction=fraction, **SMALL)
    model.learn(30)
    for count in (1, 3):
        assert [len(batch.rewards) for batch in model.sampler.draw(count, 8)] == [8] * count


def test_successes_are_drawn_beside_n_step_returns() -> None:
    model = VARL("MlpPolicy", Seen(spaces.Box(-1, 1, (3,))), policy_kwargs=NET, n_steps=3, gamma=0.9, **SMALL)
    model.learn(30)
    discounts = model.sampler.draw(1, 8)[0].discounts
    assert discounts is not None
    assert discounts[4:].tolist() == [[pytest.approx(0.9)]] * 4, "a success is a single step"


def test_of_pictures_alone_an_advisor_is_told_no_numbers() -> None:
    class Asked:
        def ask(self, query: Any) -> Any:
            self.query = query
            return finished(AdviceAnswer.of(np.zeros((len(query), 2)), "asked"))

    env = Seen(spaces.Dict({"eye": spaces.Box(0, 255, (3, 36, 36), np.uint8)}))
    asked: Any = Asked()
    asking: dict[str, Any] = {"advisor": asked, "trigger": [15], "states_per_query": 4}
    model = VARL("MultiInputPolicy", env, policy_kwargs=NET, **{**SMALL, **asking, "learning_starts": 30}).learn(20)
    assert (asked.query.states.shape, asked.query.next_states.shape) == ((4, 0), (4, 0))
    assert model.guidance.used == 4


def test_an_action_that_cannot_move_is_refused_in_a_sentence() -> None:
    env = Seen(spaces.Box(-1, 1, (3,), np.float32))
    env.action_space = spaces.Box(np.array([-1, 0.5], np.float32), np.array([1, 0.5], np.float32))
    with pytest.raises(VarlError, match=r"axis 1 of the action space cannot move, its low and high are both 0\.5"):
        VARL("MlpPolicy", env, **SMALL)
