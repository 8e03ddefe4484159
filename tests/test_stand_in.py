"""The stand-in for a VLM on each task that ships: what it says passes every check that a VLM's answer must pass."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import yaml
from varl_common.task_plans import PLANS
from varl_robot_env.config.paths import config_folder
from varl_robot_env.env.arm_env import ArmEnv
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.service.config import load_config
from varl_vlm_advisor.types import State


@pytest.fixture
def unerring(tmp_path: Path) -> Advisor:
    config = yaml.safe_load((config_folder() / "advisor.yaml").read_text())
    parameters = config["/**/advisor"]["ros__parameters"]
    parameters |= {"backend": "scripted", "strategy": "plan"}
    parameters["scripted"]["error_rate"] = 0.0
    file = tmp_path / "advisor.yaml"
    file.write_text(yaml.safe_dump(config))
    return Advisor(load_config(file))


@pytest.mark.parametrize("task", PLANS)
def test_its_plan_is_taken_in(task: str, unerring: Advisor) -> None:
    with closing(ArmEnv(task)) as env:
        before, _ = env.reset(seed=1)
        after, *_ = env.step(still := np.zeros_like(env.action_space.sample()))
    plan = unerring.ask(env.description, [State(0, before, still, after, 0.0)], 20.0).result(25).plan
    assert plan is not None
    states = np.stack([before, after])
    said, right = (one.actions(states, env.description) for one in (plan, PLANS[task]))
    np.testing.assert_array_equal(said, right)
