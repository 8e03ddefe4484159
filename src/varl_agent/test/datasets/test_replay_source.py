"""What of a run's replay goes into a dataset."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from varl_agent.datasets.replay_source import open_replay


def test_the_state_goes_out_without_features_of_pictures(
    make_training: Callable[..., Any], point_reach: type, tmp_path: Path
) -> None:
    """A training from pictures keeps the state, and after it the features."""
    training = make_training(point_reach, tmp_path / "run", steps=60, update="autograd")
    training.run()
    env = {"instruction": "Go.", "robot": "point", "observation_names": ["x", "y"], "action_names": ["dx", "dy"]}
    training.folder.write_config({"env": env | {"control_period": 0.1}})
    source, episodes = open_replay(training.folder.path)
    assert source.state_names == ("x", "y")
    states = np.concatenate([episode.states for episode in episodes])
    kept = training.model.replay_buffer.store.take(np.arange(len(states)))["observation"]
    assert kept.shape[1] == 4
    np.testing.assert_array_equal(states, kept[:, :2])
