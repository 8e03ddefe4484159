"""A run that begins from another's policy and replay."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from varl_agent.deployment.warm_start import start_from
from varl_common.errors import VarlError


@pytest.fixture
def runs(
    make_training: Callable[..., Any], point_reach: type, describe: Callable[..., Any], tmp_path: Path
) -> tuple[Any, Any, Any, Any]:
    """A run that was trained, one that was not, and the latter's description and settings."""
    first = make_training(point_reach, tmp_path / "first", steps=300, update="autograd")
    first.run()
    second = make_training(point_reach, tmp_path / "second", steps=30, update="autograd", seed=7)
    describe(first)
    return first, second, *describe(second)


def test_policy_transitions_and_successes_are_taken_over(runs: tuple[Any, Any, Any, Any]) -> None:
    first, second, env, settings = runs
    states = np.random.default_rng(0).uniform(-1, 1, (9, 4)).astype(np.float32)
    wanted, _ = first.model.predict(states, deterministic=True)
    assert not np.allclose(second.model.predict(states, deterministic=True)[0], wanted)
    words = start_from(first.folder, second.model, env, settings)
    assert "starts from first, step-000000000300, and 300 of its transitions" in words
    np.testing.assert_array_equal(second.model.predict(states, deterministic=True)[0], wanted)
    mine, theirs = (training.model.replay_buffer.store.take(np.arange(300)) for training in (second, first))
    for name in ("observation", "action", "reward", "done", "timeout", "tag"):
        np.testing.assert_array_equal(mine[name], theirs[name])
    assert len(second.model.successes) == len(first.model.successes) > 0
    np.testing.assert_array_equal(second.model.successes._spans, first.model.successes._spans)
    assert (second.model.successes.ended, second.model.successes.recent_success_rate) == (0, 0.0), (
        "nothing happened here"
    )
    second.run()
    assert second.model.replay_buffer.store.count == 330
    assert second.model.successes.time == 330


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"task": "push"}, "is of task point_reach, this run of push"),
        ({"action_scale": [0.2, 0.1]}, "has action_scale of dy 0.2, this run 0.1; start from a run with the same"),
        ({"observation_high": [1.0, 1.0, 2.0, 1.0]}, "has observation_high of tx 1, this run 2"),
        ({"control_period": 0.1}, "has control_period 0.05, this run 0.1"),
        ({"observation_names": ["x", "y", "tx"]}, "of observation_names 4 (x, y, tx, ty), this run of 3 (x, y, tx)"),
    ],
)
def test_another_task_or_other_spaces_are_refused_with_the_numbers(
    runs: tuple[Any, Any, Any, Any], changed: dict[str, Any], words: str
) -> None:
    import dataclasses

    first, second, env, settings = runs
    with pytest.raises(VarlError) as error:
        start_from(first.folder, second.model, dataclasses.replace(env, **changed), settings)
    assert words in str(error.value)
    assert second.model.replay_buffer.store.count == 0


def test_other_networks_are_refused_with_their_sizes(runs: tuple[Any, Any, Any, Any]) -> None:
    first, second, env, settings = runs
    other = settings.model_copy(update={"sac": settings.sac.model_copy(update={"net_arch": [256, 256]})})
    with pytest.raises(VarlError, match=r"has sac.net_arch \[16, 16\], this run \[256, 256\]; train with the same"):
        start_from(first.folder, second.model, env, other)
