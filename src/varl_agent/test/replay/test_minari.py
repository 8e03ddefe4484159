"""Replays as Minari datasets, and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.layout import Tag
from varl_agent.replay.minari import export_minari, import_minari
from varl_agent.replay.success_index import SuccessIndex
from varl_agent.sac.varl import VARL
from varl_common.errors import VarlError

h5py = pytest.importorskip("h5py")
STATE = spaces.Box(-1, 1, (3,), np.float32)
SEEN = spaces.Dict({"camera": spaces.Box(0, 255, (4, 5, 3), np.uint8), "state": STATE})
ACTIONS = spaces.Box(-1, 1, (2,), np.float32)


def filled(folder: Path, space: spaces.Space) -> PersistentReplayBuffer:
    """Five episodes of four steps, of which every other is cut by time, and one that still runs."""
    buffer = PersistentReplayBuffer(100, space, ACTIONS, device="cpu", folder=folder)
    space.seed(0)
    obs = space.sample()
    for step in range(22):
        next_obs, done = space.sample(), step % 4 == 3
        info = {"TimeLimit.truncated": done and step % 8 == 3}
        action = np.full((1, 2), step / 100)
        buffer.add(batch(obs), batch(next_obs), action, np.array([step]), np.array([done]), [info])
        obs = space.sample() if done else next_obs
    return buffer


def batch(obs: object) -> object:
    return {k: v[None] for k, v in obs.items()} if isinstance(obs, dict) else obs[None]  # type: ignore[index]


@pytest.mark.parametrize("space", [STATE, SEEN], ids=["state", "camera"])
def test_what_was_exported_comes_back(tmp_path: Path, space: spaces.Space) -> None:
    buffer = filled(tmp_path / "replay", space)
    assert export_minari(buffer, tmp_path / "dataset") == 6
    other = PersistentReplayBuffer(100, space, ACTIONS, device="cpu", folder=tmp_path / "other")
    assert import_minari(tmp_path / "dataset", other) == 22
    rows, again = (b.store.take(np.arange(22)) for b in (buffer, other))
    for name in ("action", "reward"):
        assert np.array_equal(rows[name], again[name])
    for key in buffer.observation_keys:
        for which in ("", "next_"):
            assert np.array_equal(buffer.part(rows, key, which), other.part(again, key, which))
    assert np.array_equal(rows["done"][:-1], again["done"][:-1])
    assert np.array_equal(rows["timeout"][:-1], again["timeout"][:-1])
    assert (again["tag"] == Tag.DEMONSTRATION).all()


def test_minari_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = pytest.importorskip("minari", reason="pip install 'minari[hdf5]' pillow to test against its own reader")
    export_minari(filled(tmp_path / "replay", SEEN), tmp_path / "varl/replay-v0/data")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    dataset = minari.load_dataset("varl/replay-v0")
    assert (dataset.total_episodes, dataset.total_steps) == (6, 22)
    assert (dataset.observation_space, dataset.action_space) == (SEEN, ACTIONS)
    episode = dataset[1]
    assert episode.observations["camera"].shape == (5, 4, 5, 3)
    assert episode.truncations.tolist() == [False] * 4
    assert episode.terminations.tolist() == [False, False, False, True]
    assert dataset.filter_episodes(lambda episode: episode.terminations[-1]).total_episodes == 2


def test_what_minari_writes_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = pytest.importorskip("minari", reason="pip install 'minari[hdf5]' pillow to test against its own writer")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    rng = np.random.default_rng(0)
    episodes = [
        minari.data_collector.EpisodeBuffer(
            observations=list(rng.uniform(-1, 1, (5, 3)).astype(np.float32)),
            actions=list(rng.uniform(-1, 1, (4, 2)).astype(np.float32)),
            rewards=[0.0, 0.0, 0.0, 1.0],
            terminations=[False, False, False, number == 0],
            truncations=[False, False, False, number == 1],
        )
        for number in range(2)
    ]
    spaces_of = {"observation_space": STATE, "action_space": ACTIONS}
    minari.create_dataset_from_buffers("demos/arm-v0", episodes, data_format="hdf5", **spaces_of)
    buffer = PersistentReplayBuffer(100, STATE, ACTIONS, device="cpu", folder=tmp_path / "replay")
    assert import_minari(tmp_path / "demos/arm-v0/data", buffer) == 8
    rows = buffer.store.take(np.arange(8))
    assert rows["done"].tolist() == [0, 0, 0, 1] * 2
    assert rows["timeout"][[3, 7]].tolist() == [0, 1]
    assert np.array_equal(rows["next_observation"][:4], np.stack(episodes[0].observations[1:]))


def test_the_layout_is_the_documented_one(tmp_path: Path) -> None:
    """https://minari.farama.org/content/dataset_standards/, for a machine without Minari."""
    export_minari(filled(tmp_path / "replay", SEEN), tmp_path / "dataset")
    metadata = json.loads((tmp_path / "dataset/metadata.json").read_text())
    assert (metadata["total_episodes"], metadata["total_steps"], metadata["data_format"]) == (6, 22, "hdf5")
    space = json.loads(metadata["observation_space"])
    assert (space["type"], space["subspaces"]["state"]["shape"]) == ("Dict", [3])
    with h5py.File(tmp_path / "dataset/main_data.hdf5") as file:
        assert sorted(file) == [f"episode_{i}" for i in range(6)]
        episode = file["episode_1"]
        assert dict(episode.attrs) == {"id": 1, "total_steps": 4}
        assert episode["observations/camera"].shape == (5, 4, 5, 3)
        assert episode["observations/camera"].dtype == np.uint8
        for name in ("actions", "rewards", "terminations", "truncations"):
            assert len(episode[name]) == 4
        assert (episode["terminations"].dtype, episode["rewards"].dtype) == (np.bool_, np.float32)


def test_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    buffer = filled(tmp_path / "replay", STATE)
    export_minari(buffer, tmp_path / "dataset")
    with pytest.raises(VarlError, match="not empty"):
        export_minari(buffer, tmp_path / "dataset")
    with pytest.raises(VarlError, match="not a Minari dataset"):
        import_minari(tmp_path, buffer)
    wider = spaces.Box(-1, 1, (4,), np.float32)
    other = PersistentReplayBuffer(9, wider, ACTIONS, device="cpu", folder=tmp_path / "other")
    with pytest.raises(VarlError, match=r"shape \(5, 3\) where the task's is \(5, 4\)"):
        import_minari(tmp_path / "dataset", other)
    assert other.size() == 0
    json.loads((tmp_path / "dataset" / "metadata.json").read_text())


def replaced(name: str, values: np.ndarray) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file[name]
        file[name] = values

    return change


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda file: file.create_group("notes"), "holds 'notes', which is no episode"),
        (lambda file: [file.pop(name) for name in list(file)], "holds no episode"),
        (lambda file: file.pop("episode_3/actions"), "episode_3 lacks a part"),
        (replaced("episode_3", np.zeros(3)), "episode_3 lacks a part"),
        (replaced("episode_3/rewards", np.zeros(1)), r"episode_3 has an array of shape \(1,\)"),
        (replaced("episode_3/rewards", np.full(4, np.nan)), "episode_3 holds what is not a finite number"),
        (replaced("episode_3/rewards", np.full(4, 1e300)), "episode_3 holds what is not a finite number"),
        (replaced("episode_3/actions", np.full((4, 2), 50.0)), "episode_3 has an action of 50 on axis 0, beyond -1..1"),
        (replaced("episode_3/observations", np.full((5, 3), b"x")), "episode_3 holds what is not a finite number"),
    ],
)
def test_of_a_dataset_that_is_wrong_somewhere_nothing_is_taken(
    tmp_path: Path, spoil: Callable[[Any], None], says: str
) -> None:
    export_minari(filled(tmp_path / "replay", STATE), tmp_path / "dataset")
    with h5py.File(tmp_path / "dataset" / "main_data.hdf5", "r+") as file:
        spoil(file)
    other = PersistentReplayBuffer(100, STATE, ACTIONS, device="cpu", folder=tmp_path / "other")
    with pytest.raises(VarlError, match=says):
        import_minari(tmp_path / "dataset", other)
    assert other.size() == 0


def test_a_broken_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    export_minari(filled(tmp_path / "replay", STATE), tmp_path / "dataset")
    data = tmp_path / "dataset" / "main_data.hdf5"
    whole = data.read_bytes()
    other = PersistentReplayBuffer(100, STATE, ACTIONS, device="cpu", folder=tmp_path / "other")
    for broken in (whole[: len(whole) // 2], whole[:1500] + bytes(3000) + whole[4500:]):
        data.write_bytes(broken)
        with pytest.raises(VarlError, match="or is broken"):
            import_minari(tmp_path / "dataset", other)
        assert other.size() == 0


def test_an_import_that_ends_midway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that becomes full."""
    export_minari(filled(tmp_path / "replay", STATE), tmp_path / "dataset")
    other = filled(tmp_path / "other", STATE)
    before, append = other.store.take(np.arange(22)), other.store.append

    def full(*arguments: Any) -> None:
        if other.store.count == 30:
            raise VarlError("the disk is full")
        append(*arguments)

    monkeypatch.setattr(other.store, "append", full)
    with pytest.raises(VarlError, match="the disk is full"):
        import_minari(tmp_path / "dataset", other)
    assert other.size() == other.store.count == other.pos == 22
    assert other.store.take(np.arange(22)).tobytes() == before.tobytes()


UNEVEN = spaces.Box(np.array([-2, 0, 5], np.float32), np.array([2, 10, 5.5], np.float32))
PARTS = spaces.Dict({"goal": STATE, "state": spaces.Box(-9, 9, (2, 2), np.float64)})
DRAWN = [
    spaces.Box(-2, 2, (1,), np.float32),
    UNEVEN,
    spaces.Box(-3, 1, (2, 2), np.float64),
]


@pytest.mark.parametrize("actions", DRAWN, ids=["Pendulum", "uneven", "matrix of float64"])
@pytest.mark.parametrize("observed", [STATE, PARTS], ids=["Box", "Dict"])
@pytest.mark.parametrize("normalized", [False, True], ids=["plain", "VecNormalize"])
def test_a_dataset_holds_what_the_environment_was_told(
    tmp_path: Path, actions: spaces.Box, observed: spaces.Space, normalized: bool
) -> None:
    told = []

    class Records(gym.Env):
        observation_space, action_space = observed, actions

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            self.time = 0
            return self.observation_space.sample(), {}

        def step(self, action: np.ndarray) -> Any:
            told.append(action)
            self.time += 1
            return self.observation_space.sample(), 3.0, False, self.time == 5, {}

    env: Any = DummyVecEnv([Records])
    if normalized:
        env = VecNormalize(env)
    model = VARL(
        "MultiInputPolicy" if observed is PARTS else "MlpPolicy",
        env,
        learning_starts=100,
        replay_buffer_class=PersistentReplayBuffer,
        replay_buffer_kwargs={"folder": tmp_path / "replay"},
        buffer_size=50,
        device="cpu",
    )
    model.learn(15)
    buffer = model.replay_buffer
    assert isinstance(buffer, PersistentReplayBuffer)
    assert export_minari(buffer, tmp_path / "dataset") == 3
    with h5py.File(tmp_path / "dataset/main_data.hdf5") as file:
        written = np.concatenate([file[f"episode_{i}/actions"] for i in range(3)])
        assert file["episode_0/rewards"][()].tolist() == [3.0] * 5
    np.testing.assert_allclose(written, np.stack(told), rtol=1e-5, atol=1e-5)
    assert written.dtype == actions.dtype
    other = PersistentReplayBuffer(50, observed, actions, device="cpu", folder=tmp_path / "other")
    assert import_minari(tmp_path / "dataset", other) == 15
    rows, again = (b.store.take(np.arange(15)) for b in (buffer, other))
    np.testing.assert_allclose(rows["action"], again["action"], atol=1e-6)


def test_an_action_beyond_the_environments_bounds_is_named(tmp_path: Path) -> None:
    buffer = PersistentReplayBuffer(9, STATE, UNEVEN, device="cpu", folder=tmp_path / "replay")
    buffer.add(np.zeros(3), np.zeros(3), np.zeros((1, 3)), np.zeros(1), np.ones(1), [{}])
    export_minari(buffer, tmp_path / "dataset")
    with h5py.File(tmp_path / "dataset/main_data.hdf5", "r+") as file:
        assert file["episode_0/actions"][()].tolist() == [[0, 5, 5.25]]
        file["episode_0/actions"][0, 1] = 11
    with pytest.raises(VarlError, match=r"an action of 11 on axis 1, beyond 0\.\.10"):
        import_minari(tmp_path / "dataset", buffer)


def test_of_a_dataset_longer_than_the_replay_the_newest_successes_are_drawn(tmp_path: Path) -> None:
    export_minari(filled(tmp_path / "replay", STATE), tmp_path / "dataset")
    short = PersistentReplayBuffer(10, STATE, ACTIONS, device="cpu", folder=tmp_path / "short")
    index = SuccessIndex(10, 1)
    assert import_minari(tmp_path / "dataset", short, successes=index) == 22
    assert (index.ended, index.own) == (6, 2), "every other whole one was ended by the task"
    rows, _ = index.sample(200)
    drawn = short.store.take(short.times(rows))
    assert set(drawn["reward"]) == {13, 14, 15}, "of the episode of rows 12 to 15 what is not overwritten"


def test_an_episode_that_was_broken_off_ends_there_and_what_stood_in_is_left_out(tmp_path: Path) -> None:
    buffer = PersistentReplayBuffer(9, STATE, ACTIONS, device="cpu", folder=tmp_path / "replay")
    for begins, ends, info in [(0, 1, {}), (1, 2, {}), (7, 8, {}), (8, 9, {"stands_in": 1}), (9, 10, {})]:
        places = (np.full(3, t, np.float32) for t in (begins, ends))
        buffer.add(*places, np.zeros((1, 2)), np.zeros(1), np.zeros(1), [info])
    assert export_minari(buffer, tmp_path / "dataset") == 3
    with h5py.File(tmp_path / "dataset/main_data.hdf5") as file:
        seen = [file[f"episode_{i}/observations"][:, 0].tolist() for i in range(3)]
        assert seen == [[0, 1, 2], [7, 8], [9, 10]]
        assert all(file[f"episode_{i}/truncations"][-1] for i in range(3))
