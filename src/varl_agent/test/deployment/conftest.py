"""A run of the toy robot, described as the learner describes runs of an arm."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from varl_agent.training.settings import LearnerSettings
from varl_agent.training.training import Training
from varl_common.env_description import EnvDescription
from varl_common.yaml_file import load_yaml

AGENT = Path(__file__).parents[4] / "config/agent.yaml"


def _describe(training: Training, **changed: Any) -> tuple[EnvDescription, LearnerSettings]:
    """Write the run's config.yaml; ``changed`` are fields of its environment's description."""
    learner = load_yaml(AGENT)["/**/learner"]["ros__parameters"] | {"run_dir": str(training.folder.path)}
    learner["sac"] |= {"net_arch": [16, 16]}
    env: dict[str, Any] = {
        "task": "point_reach",
        "robot": "point",
        "backend": "mujoco",
        "instruction": "Go there.",
        "base_frame": "base",
        "observation_names": ["x", "y", "tx", "ty"],
        "observation_units": ["m"] * 4,
        "observation_low": [-1.0] * 4,
        "observation_high": [1.0] * 4,
        "action_names": ["dx", "dy"],
        "action_units": ["m"] * 2,
        "action_scale": [0.2, 0.2],
        "entities": ["target"],
        "entity_indices": [1],
        "control_period": 0.05,
        "max_episode_steps": 20,
        "lock_step": True,
        "cameras": [],
    } | changed
    description = EnvDescription(**env)
    training.folder.write_config({"learner": learner, "env": asdict(description)})
    return description, LearnerSettings.from_dict(learner, "the test")


@pytest.fixture
def describe() -> Callable[..., tuple[EnvDescription, LearnerSettings]]:
    return _describe
