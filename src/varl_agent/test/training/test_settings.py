"""config/agent.yaml is complete, and what is wrong in it is told in a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from varl_agent.training.settings import LearnerSettings, make_model
from varl_agent.vec_env.parallel_env import ParallelEnv
from varl_common.errors import VarlError
from varl_common.yaml_file import load_yaml

AGENT = Path(__file__).parents[4] / "config/agent.yaml"


def values() -> dict[str, Any]:
    return load_yaml(AGENT)["/**/learner"]["ros__parameters"] | {"run_dir": "/tmp/run"}


def test_the_file_is_complete() -> None:
    assert LearnerSettings.from_dict(values(), "agent.yaml").sac.net_arch


@pytest.mark.parametrize(
    ("section", "name", "value", "words"),
    [
        ("sac", "gamma", 1.5, "'sac.gamma': Input should be less than or equal to 1"),
        ("sac", "ent_coef", "automatic", "expected 'auto', 'auto_<first value>' or a number"),
        ("sac", "net_arch", [], "'sac.net_arch'"),
        ("sac", "utd", 0, "'sac.utd'"),
        ("advice", "cutof", 5, "unknown parameter 'advice.cutof'; did you mean 'cutoff'"),
    ],
)
def test_what_is_wrong_is_named(section: str, name: str, value: Any, words: str) -> None:
    given = values()
    given[section] = given[section] | {name: value}
    with pytest.raises(VarlError) as error:
        LearnerSettings.from_dict(given, "agent.yaml")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("recipe", ["varl", "paper", "sac"])
def test_by_any_recipe_a_run_that_starts_from_another_acts_by_that_policy_at_once(
    point_reach: Callable[[], Any], recipe: str
) -> None:
    given = values() | {"recipe": recipe, "start_from": "/tmp/other"}
    given["sac"] = given["sac"] | {"buffer_size": 10, "device": "cpu"}
    env = ParallelEnv([point_reach()], 0)
    assert make_model(LearnerSettings.from_dict(given, "agent.yaml"), env, None, True, None).learning_starts == 0
