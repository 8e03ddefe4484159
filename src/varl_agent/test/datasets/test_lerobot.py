"""Datasets for LeRobot: what is written is read back the same, by us and by LeRobot itself."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from varl_agent.datasets.episodes import Episode, Source
from varl_agent.datasets.lerobot import INFO, open_lerobot, write_lerobot
from varl_agent.datasets.lerobot_source import import_lerobot
from varl_agent.datasets.replay_source import open_replay
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.layout import Tag
from varl_agent.replay.success_index import SuccessIndex
from varl_agent.training.run_folder import RunFolder
from varl_common.errors import VarlError

pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pytest.importorskip("av", reason="av is not installed")

SOURCE = Source("Push it.", "arm", ("x", "y"), ("dx",), 0.05, {"camera": (32, 48, 3)})


def episode(n: int, seed: int, success: bool) -> Episode:
    rng = np.random.default_rng(seed)
    # A bright square on a dark ground, at another place in each picture.
    pictures = np.full((n, 32, 48, 3), 40, np.uint8)
    for t in range(n):
        pictures[t, 8:16, 4 * t : 4 * t + 8] = (220, 90, 60)
    rewards = np.zeros(n, np.float32)
    rewards[-1] = success
    states, actions = (rng.uniform(-1, 1, (n, size)).astype(np.float32) for size in (2, 1))
    return Episode(states, actions, rewards, np.arange(n) % 2 == 0, success, {"camera": pictures})


EPISODES = [episode(5, 0, True), episode(3, 1, False), episode(7, 2, True)]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    assert write_lerobot(SOURCE, EPISODES, tmp_path / "set") == 3
    source, episodes = open_lerobot(tmp_path / "set")
    assert source == SOURCE
    for read, written in zip(episodes, EPISODES, strict=True):
        for name in ("states", "actions", "rewards", "by_person"):
            np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
        assert read.success == written.success
        off = np.abs(read.pictures["camera"].astype(int) - written.pictures["camera"])
        assert off.mean() < 4, "a video is not exact"
        assert off.reshape(len(written), -1).mean(axis=1).max() < 8, "each picture is the one of its step"


def test_lerobots_own_loader_reads_it(tmp_path: Path) -> None:
    python = os.environ.get("VARL_LEROBOT_PYTHON")
    if not python:
        pytest.skip("LeRobot has an environment of its own: VARL_LEROBOT_PYTHON names its interpreter")
    write_lerobot(SOURCE, EPISODES, tmp_path / "set")
    program = """
import json, sys
from lerobot.datasets.lerobot_dataset import LeRobotDataset
data = LeRobotDataset("varl/test", root=sys.argv[1])
rows = [data[i] for i in range(len(data))]
print(json.dumps({
    "episodes": data.num_episodes, "fps": data.fps, "version": data.meta.info["codebase_version"],
    "names": data.meta.features["observation.state"]["names"],
    "states": [row["observation.state"].tolist() for row in rows],
    "done": [bool(row["next.done"]) for row in rows],
    "reward": [float(row["next.reward"]) for row in rows],
    "person": [bool(row["is_intervention"]) for row in rows],
    "task": rows[0]["task"],
    "picture": [list(row["observation.images.camera"].shape) for row in rows],
    "red": [float(row["observation.images.camera"][0].max()) for row in rows],
    "mean": data.meta.stats["observation.state"]["mean"].tolist(),
}))
"""
    done = subprocess.run([python, "-c", program, tmp_path / "set"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["episodes"], told["fps"], told["version"], told["names"]) == (3, 20, "v3.0", ["x", "y"])
    states = np.concatenate([one.states for one in EPISODES])
    np.testing.assert_allclose(told["states"], states, rtol=1e-6)
    np.testing.assert_allclose(told["mean"], states.mean(axis=0), rtol=1e-4, atol=1e-6)
    assert told["done"] == [*[False] * 4, True, *[False] * 2, True, *[False] * 6, True]
    np.testing.assert_array_equal(told["reward"], np.concatenate([one.rewards for one in EPISODES]))
    np.testing.assert_array_equal(told["person"], np.concatenate([one.by_person for one in EPISODES]))
    assert told["task"] == "Push it."
    assert told["picture"] == [[3, 32, 48]] * 15
    assert min(told["red"]) > 0.7, "the square is in each picture"


def test_a_runs_replay_goes_out_and_in(make_training: Callable[..., Any], point_reach: type, tmp_path: Path) -> None:
    training = make_training(point_reach, tmp_path / "run", steps=300, update="autograd")
    training.run()
    names = ["x", "y", "tx", "ty"]
    env = {"instruction": "Go.", "robot": "point", "observation_names": names, "action_names": ["dx", "dy"]}
    training.folder.write_config({"env": env | {"control_period": 0.1}})
    source, episodes = open_replay(training.folder.path)
    count = write_lerobot(source, episodes, tmp_path / "set")
    old = training.model.replay_buffer
    buffer = PersistentReplayBuffer(
        1000, old.observation_space, old.action_space, device="cpu", folder=tmp_path / "replay"
    )
    successes = SuccessIndex(buffer.buffer_size, 1)
    added = import_lerobot(tmp_path / "set", buffer, tuple(names), ("dx", "dy"), successes)
    kept, all_rows = buffer.store.take(np.arange(added)), old.store.take(np.arange(300))
    solved = (all_rows["done"] > 0) & (all_rows["timeout"] == 0)
    assert added == 300 - (count - solved.sum()), "an episode that was cut lacks what came of its last action"
    there = (all_rows["observation"][:, None] == kept["observation"]).all(axis=2).argmax(axis=0)
    ended = kept["done"] > 0
    for name in ("observation", "action", "reward"):
        np.testing.assert_array_equal(kept[name], all_rows[name][there])
    np.testing.assert_array_equal(kept["next_observation"][~ended], all_rows["next_observation"][there][~ended])
    assert (kept["tag"] == Tag.DEMONSTRATION).all()
    assert successes.own == solved.sum() > 0


def small_buffer(folder: Path) -> PersistentReplayBuffer:
    from gymnasium.spaces import Box

    spaces = Box(-1, 1, (2,), np.float32), Box(-1, 1, (1,), np.float32)
    return PersistentReplayBuffer(100, *spaces, device="cpu", folder=folder)


def test_what_does_not_fit_is_refused_and_nothing_is_added(tmp_path: Path) -> None:
    bare = replace(SOURCE, cameras={})
    beyond = replace(EPISODES[1], actions=EPISODES[1].actions * 0 + 2)
    write_lerobot(bare, [replace(one, pictures={}) for one in (EPISODES[0], beyond)], tmp_path / "set")
    buffer = small_buffer(tmp_path / "replay")
    successes = SuccessIndex(100, 1)
    with pytest.raises(VarlError, match=r"episode 1 has an action of 2; expected -1 to 1"):
        import_lerobot(tmp_path / "set", buffer, ("x", "y"), ("dx",), successes)
    assert (buffer.size(), successes.own) == (0, 0)
    with pytest.raises(VarlError, match=r"has states of 2 \(x, y\), this task 2 \(x, z\)"):
        import_lerobot(tmp_path / "set", buffer, ("x", "z"), ("dx",), successes)
    with pytest.raises(VarlError, match="is not empty"):
        write_lerobot(bare, EPISODES, tmp_path / "set")


def test_what_is_not_finite_or_no_dataset_is_refused(tmp_path: Path) -> None:
    bare = replace(SOURCE, cameras={})
    broken = replace(EPISODES[0], states=EPISODES[0].states * np.nan, pictures={})
    write_lerobot(bare, [broken], tmp_path / "set")
    with pytest.raises(VarlError, match="episode 0 holds what is not finite"):
        list(open_lerobot(tmp_path / "set")[1])
    info = json.loads((tmp_path / "set" / INFO).read_text())
    (tmp_path / "set" / INFO).write_text(json.dumps(info | {"codebase_version": "v2.1"}))
    with pytest.raises(VarlError, match=r"of v2\.1, expected v3\.0"):
        open_lerobot(tmp_path / "set")
    with pytest.raises(VarlError, match="is not a LeRobot dataset"):
        open_lerobot(tmp_path)
    with pytest.raises(VarlError, match=r"config\.yaml"):
        open_replay(RunFolder(tmp_path).path)
