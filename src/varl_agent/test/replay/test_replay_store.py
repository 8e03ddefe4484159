"""The replay store and the buffer over it: what Stable-Baselines3 samples, and nothing lost when a process dies."""

from __future__ import annotations

import mmap
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.callbacks import CheckpointCallback
from varl_agent.replay import store as replay_store
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.layout import Layout, Tag
from varl_agent.replay.store import ReplayStore
from varl_common.errors import VarlError

BOX = spaces.Box(-np.inf, np.inf, (5,), np.float32)
ACTIONS = spaces.Box(-1, 1, (2,), np.float32)
LAYOUT = Layout(obs_dim=5, act_dim=2, capacity=40, slack=10)


def row(number: int, layout: Layout = LAYOUT) -> np.ndarray:
    """A time row in which every value tells its number."""
    found = np.zeros(layout.n_envs, layout.row)
    for name in ("observation", "action", "next_observation", "reward"):
        found[name] = number
    return found


def fill(store: ReplayStore, first: int, last: int) -> None:
    for number in range(first, last):
        store.append(row(number, store.layout))


def readable(store: ReplayStore) -> list[int]:
    times = np.arange(store.oldest, store.count)
    rows = store.take(times)
    assert np.array_equal(rows["observation"][:, 0], rows["next_observation"][:, 4])
    assert np.array_equal(rows["observation"][:, 0], rows["action"][:, 1])
    return [int(value) for value in rows["reward"]]


@pytest.mark.parametrize("n_envs", [1, 3])
def test_samples_are_those_of_stable_baselines3(tmp_path: Path, n_envs: int) -> None:
    theirs = ReplayBuffer(60, BOX, ACTIONS, device="cpu", n_envs=n_envs)
    ours = PersistentReplayBuffer(60, BOX, ACTIONS, device="cpu", n_envs=n_envs, folder=tmp_path / "replay", slack=3)
    rng = np.random.default_rng(0)
    for step in range(100):
        obs, next_obs = rng.standard_normal((2, n_envs, 5)).astype(np.float32)
        action, reward = rng.uniform(-1, 1, (n_envs, 2)).astype(np.float32), rng.standard_normal(n_envs)
        done, timeout = rng.random(n_envs) < 0.3, rng.random(n_envs) < 0.5
        infos: list[dict[str, Any]] = [
            {"TimeLimit.truncated": bool(d and t)} for d, t in zip(done, timeout, strict=True)
        ]
        for buffer in (theirs, ours):
            buffer.add(obs, next_obs, action, reward, done, infos)
        assert (ours.pos, ours.full, ours.size()) == (theirs.pos, theirs.full, theirs.size())
        batches = []
        for buffer in (theirs, ours):
            np.random.seed(step)  # noqa: NPY002 (Stable-Baselines3 samples from the global generator)
            batches.append(buffer.sample(16))
        for expected, got in zip(*batches, strict=True):
            assert (expected is None and got is None) or (expected == got).all()
    rows, envs = np.arange(theirs.size()), np.zeros(theirs.size(), int)
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        assert np.array_equal(getattr(ours, name)[rows, envs], getattr(theirs, name)[rows, envs]), name


def test_images_are_stored_once_and_sampled_as_by_stable_baselines3(tmp_path: Path) -> None:
    space = spaces.Dict({"camera": spaces.Box(0, 255, (3, 4, 2), np.uint8), "state": BOX})
    theirs = DictReplayBuffer(50, space, ACTIONS, device="cpu", n_envs=2)
    ours = PersistentReplayBuffer(50, space, ACTIONS, device="cpu", n_envs=2, folder=tmp_path / "replay", slack=2)
    rng = np.random.default_rng(0)

    def look() -> dict[str, np.ndarray]:
        return {"camera": rng.integers(0, 256, (2, 3, 4, 2), np.uint8), "state": rng.random((2, 5), np.float32)}

    obs, episodes = look(), 2
    for step in range(120):
        next_obs = look()
        done = rng.random(2) < 0.2
        for buffer in (theirs, ours):
            buffer.add(obs, next_obs, rng.random((2, 2)) * 0, np.zeros(2), done, [{}, {}])
        fresh = look()
        obs = {
            key: np.where(done.reshape(2, *[1] * (value.ndim - 1)), fresh[key], value)
            for key, value in next_obs.items()
        }
        if step == 60:
            obs = look()  # reset from outside: the frames after the last transitions must stay
            done = np.array([True, True])
        episodes += int(done.sum())
        batches = []
        for buffer in (theirs, ours):
            np.random.seed(step)  # noqa: NPY002
            batches.append(buffer.sample(32))
        for part in ("observations", "next_observations"):
            for key in space:
                expected, got = (getattr(batch, part)[key] for batch in batches)
                assert (expected == got).all(), (step, part, key)
    assert ours.store._newest["camera"] <= 2 * 120 + episodes


def test_a_reopened_store_goes_on(tmp_path: Path) -> None:
    store = ReplayStore(tmp_path / "replay", LAYOUT)
    fill(store, 0, 70)
    store.close()
    again = ReplayStore(tmp_path / "replay", LAYOUT)
    assert readable(again) == list(range(30, 70))
    fill(again, 70, 75)
    assert readable(again) == list(range(35, 75))


def test_rewinding_brings_back_the_rows_of_then(tmp_path: Path) -> None:
    store = ReplayStore(tmp_path / "replay", LAYOUT)
    fill(store, 0, 100)
    then = readable(store)
    fill(store, 100, 110)
    store.rewind(100)
    assert readable(store) == then
    fill(store, 100, 105)
    with pytest.raises(VarlError, match="only 10 are kept"):
        store.rewind(95)  # 105 - 95 would do, but rows up to number 110 have been there
    with pytest.raises(VarlError, match="fewer than the 200"):
        store.rewind(200)


def test_tags_are_kept(tmp_path: Path) -> None:
    buffer = PersistentReplayBuffer(10, BOX, ACTIONS, device="cpu", folder=tmp_path / "replay")
    for info in ({}, {"tag": Tag.HUMAN}, {"tag": Tag.DEMONSTRATION}):
        buffer.add(np.zeros((1, 5)), np.zeros((1, 5)), np.zeros((1, 2)), np.zeros(1), np.zeros(1), [info])
    assert buffer.store.take(np.arange(3))["tag"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(("number", "says"), [(28, "disk is full; free at least"), (27, "cannot grow.*ulimit -f")])
def test_a_full_disk_is_an_error_that_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    store = ReplayStore(tmp_path / "replay", LAYOUT)
    fill(store, 0, 5)
    store.close()
    store = ReplayStore(tmp_path / "replay", LAYOUT)

    def full(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(VarlError, match=says):
        store.append(row(5))
    monkeypatch.undo()
    assert readable(store) == [0, 1, 2, 3, 4]
    fill(store, 5, 6)
    assert readable(store) == [0, 1, 2, 3, 4, 5]


def test_a_disk_that_is_really_full_ends_in_a_sentence(tmp_path: Path) -> None:
    """Writing to a mapping without disk space behind it would kill the process by SIGBUS."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        done = subprocess.run(
            [sys.executable, "-c", FILLER, tmp_path / "replay"], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        count, message = done.stdout.split(maxsplit=1)
        assert "disk is full" in message
        assert readable(ReplayStore(tmp_path / "replay", writable=False)) == list(range(int(count)))
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


FILLER = """
import sys, numpy as np
from varl_agent.replay.layout import Layout
from varl_agent.replay.store import ReplayStore, VarlError
layout = Layout(obs_dim=2000, act_dim=2, capacity=9000, slack=10)
store, row = ReplayStore(sys.argv[1], layout), np.zeros(1, layout.row)
try:
    for number in range(9000):
        for name in ("observation", "action", "next_observation", "reward"):
            row[name] = number
        store.append(row)
except VarlError as error:
    print(store.count, error)
"""


def test_after_a_loss_of_power_what_was_flushed_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ReplayStore(tmp_path / "replay", LAYOUT)
    fill(store, 0, 7)
    store.flush()
    fill(store, 7, 9)
    del store  # without closing it
    other = tmp_path / "boot_id"
    other.write_text("00000000-1111-2222-3333-444444444444\n")
    monkeypatch.setattr(replay_store, "_BOOT_ID", other)
    assert readable(ReplayStore(tmp_path / "replay", LAYOUT)) == list(range(7))


def test_others_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(VarlError, match=r"layout\.json"):
        ReplayStore(tmp_path / "replay")
    store = ReplayStore(tmp_path / "replay", LAYOUT)
    fill(store, 0, 3)
    with pytest.raises(VarlError, match="another process"):
        ReplayStore(tmp_path / "replay", LAYOUT)
    assert readable(ReplayStore(tmp_path / "replay", writable=False)) == [0, 1, 2]
    store.close()
    with pytest.raises(VarlError, match="obs_dim 5 instead of 6"):
        ReplayStore(tmp_path / "replay", Layout(obs_dim=6, act_dim=2, capacity=40, slack=10))
    (tmp_path / "replay" / "rows").write_bytes(b"short")
    with pytest.raises(VarlError, match="damaged"):
        ReplayStore(tmp_path / "replay", LAYOUT)


def test_rows_found_after_a_kill_are_said_to_be_on_the_disk_only_once_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ReplayStore(tmp_path / "replay", LAYOUT)
    fill(store, 0, 7)
    store.flush()
    fill(store, 7, 9)
    del store  # killed
    store = ReplayStore(tmp_path / "replay", LAYOUT)
    assert store.count == 9
    del store  # power lost before it was flushed
    other = tmp_path / "boot_id"
    other.write_text("00000000-1111-2222-3333-444444444444\n")
    monkeypatch.setattr(replay_store, "_BOOT_ID", other)
    assert readable(ReplayStore(tmp_path / "replay", LAYOUT)) == list(range(7))


def counting(count: int, most: int) -> Callable[[Path], object]:
    """A header that says there are, and were at most, so many rows."""
    words = count.to_bytes(8, "little") + most.to_bytes(8, "little")
    return lambda header: header.write_bytes(words + header.read_bytes()[16:])


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda header: header.unlink(),
        lambda header: header.write_bytes(bytes(4096)),
        counting(0, 0),
        counting(99, 30),
        counting(99, 99),
        counting(31, 31),
        counting(2**60, 2**60),
        counting(2**64 - 1, 2**64 - 1),
    ],
    ids=["missing", "zeros", "no counts", "more than were", "more than written", "one more", "2^60", "ones"],
)
def test_a_header_that_is_not_that_of_its_rows_is_refused_and_nothing_is_touched(
    tmp_path: Path, spoil: Callable[[Path], object], writable: bool
) -> None:
    store = ReplayStore(tmp_path / "replay", LAYOUT)
    fill(store, 0, 30)
    store.close()
    del store
    spoil(tmp_path / "replay" / "header")
    before = {path.name: path.read_bytes() for path in (tmp_path / "replay").iterdir()}
    with pytest.raises(VarlError, match=r"replay/header .* damaged; bring it back from a copy, or remove the folder"):
        ReplayStore(tmp_path / "replay", LAYOUT, writable)
    assert {path.name: path.read_bytes() for path in (tmp_path / "replay").iterdir()} == before


def test_a_count_that_never_was_is_refused_in_a_ring_that_is_full(tmp_path: Path) -> None:
    store = ReplayStore(tmp_path / "replay", LAYOUT)
    fill(store, 0, 70)
    store.close()
    counting(75, 75)(tmp_path / "replay" / "header")  # row 23 is where row 74 would be
    with pytest.raises(VarlError, match="counts 75 rows, of which the last was never written"):
        ReplayStore(tmp_path / "replay", LAYOUT)


def test_fewer_rows_than_were_flushed_are_brought_back(tmp_path: Path) -> None:
    store = ReplayStore(tmp_path / "replay", LAYOUT)
    fill(store, 0, 30)
    store.close()
    counting(0, 30)(tmp_path / "replay" / "header")
    with pytest.raises(VarlError, match="counts 0 rows where 30 were flushed"):
        ReplayStore(tmp_path / "replay", writable=False)
    assert readable(ReplayStore(tmp_path / "replay", LAYOUT)) == list(range(30))


@pytest.mark.parametrize("flushed", [True, False])
def test_rows_written_before_they_were_marked_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flushed: bool
) -> None:
    monkeypatch.setattr(replay_store, "_mark", lambda time: 0)
    store = ReplayStore(tmp_path / "replay", LAYOUT)
    fill(store, 0, 70)
    if flushed:
        store.close()
    del store
    monkeypatch.undo()
    store = ReplayStore(tmp_path / "replay", LAYOUT)
    assert readable(store) == list(range(30, 70))
    fill(store, 70, 80)
    del store
    assert readable(ReplayStore(tmp_path / "replay", LAYOUT)) == list(range(40, 80))


def test_a_first_row_of_zeros_is_a_row(tmp_path: Path) -> None:
    store = ReplayStore(tmp_path / "replay", LAYOUT)
    fill(store, 0, 1)
    del store  # killed
    assert readable(ReplayStore(tmp_path / "replay", LAYOUT)) == [0]


@pytest.mark.parametrize("left", ["layout.json", "rows", "header", "stamp"])
def test_a_store_whose_making_was_cut_short_is_made(tmp_path: Path, left: str) -> None:
    """Ended after this was there: of the header at first only zeros, then which start of the machine it was."""
    ReplayStore(tmp_path / "replay", LAYOUT).close()
    header = tmp_path / "replay" / "header"
    if left == "stamp":
        header.write_bytes((bytes(replay_store.BOOT) + b"another").ljust(4096, b"\0"))
    else:
        header.write_bytes(bytes(4096)) if left == "header" else header.unlink()
    if left == "layout.json":
        (tmp_path / "replay" / "rows").unlink()
    store = ReplayStore(tmp_path / "replay", LAYOUT)
    fill(store, 0, 3)
    assert readable(store) == [0, 1, 2]


@pytest.mark.parametrize("text", ['"abc"', '{"version": 1, "frames": null}', "{", "[]"])
def test_a_layout_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "layout.json").write_text(text)
    with pytest.raises(VarlError, match=r"layout\.json is damaged \(.*\); bring it back from a copy, or remove"):
        ReplayStore(tmp_path, LAYOUT)


def test_where_no_store_can_be_made_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VarlError, match="cannot be made"):
        ReplayStore(tmp_path / "file", LAYOUT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(VarlError, match="ulimit"):
            ReplayStore(tmp_path / "replay", LAYOUT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def fail(number: int) -> Callable[..., None]:
        def call(*_: Any, **__: Any) -> None:
            raise OSError(number, os.strerror(number))

        return call

    for owner, name, number, says in [
        (Path, "write_text", 28, "write_text cannot be made .No space left on device.; name a folder"),
        (os, "replace", 28, "replace cannot be made .No space left on device.; name a folder"),
        (mmap, "mmap", 12, "mmap/rows of .* bytes has no room in memory .Cannot allocate memory.; free some"),
    ]:
        monkeypatch.setattr(owner, name, fail(number))
        with pytest.raises(VarlError, match=says):
            ReplayStore(tmp_path / name, LAYOUT)
        monkeypatch.undo()


def test_a_pickle_of_it_is_a_reference_to_its_folder(tmp_path: Path) -> None:
    buffer = PersistentReplayBuffer(10, BOX, ACTIONS, device="cpu", folder=tmp_path / "replay")
    pickled = pickle.dumps(buffer)
    assert len(pickled) < 4000
    assert pickle.loads(pickled) is buffer, "which can be open only once"
    buffer.add(*(np.zeros((1, *BOX.shape)),) * 2, np.zeros((1, *ACTIONS.shape)), np.ones(1), np.zeros(1), [{}])
    buffer.store.close()
    again = pickle.loads(pickled)
    assert (again.size(), again.buffer_size) == (1, 10)
    again.store.close()
    (tmp_path / "replay").rename(tmp_path / "elsewhere")
    with pytest.raises(VarlError, match="is not there; bring that folder back"):
        pickle.loads(pickled)


def test_a_checkpoint_callback_saves_it(tmp_path: Path) -> None:
    """``CheckpointCallback(save_replay_buffer=True)``, as with any replay of Stable-Baselines3."""
    model = SAC(
        "MlpPolicy",
        "Pendulum-v1",
        replay_buffer_class=PersistentReplayBuffer,
        replay_buffer_kwargs={"folder": tmp_path / "replay"},
        learning_starts=100,
        device="cpu",
    )
    model.learn(20, callback=CheckpointCallback(10, str(tmp_path), save_replay_buffer=True))
    (tmp_path / "rl_model_10_steps.zip").stat()
    model.load_replay_buffer(tmp_path / "rl_model_replay_buffer_10_steps.pkl")
    assert model.replay_buffer is not None
    assert model.replay_buffer.size() == 20


WRITER = """
import sys, numpy as np
from varl_agent.replay.layout import Layout
from varl_agent.replay.store import ReplayStore
layout = Layout(obs_dim=5, act_dim=2, capacity=400, slack=100, n_envs=2, frames={"camera": (8, 8, 3)})
store = ReplayStore(sys.argv[1], layout)
print(store.count, flush=True)
row, number = np.zeros(2, layout.row), store.count
while True:
    for name in ("observation", "action", "next_observation", "reward"):
        row[name] = number
    row["done"] = number % 7 == 6
    before, after = (np.full((2, 8, 8, 3), n % 251, np.uint8) for n in (number, number + 1))
    store.append(row, {"camera": (before, after)})
    number += 1
    if number % 50 == 0:
        store.flush()
    print(number, flush=True)
"""


def kill_and_check(folder: Path, kills: int) -> None:
    """Start a writer, kill -9 it at a random instant, look at what is there; again and again on the same store."""
    chance, promised = random.Random(kills), 0
    for _ in range(kills):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            first = int(writer.stdout.readline())
            assert first >= promised, "a committed row was lost"
            time.sleep(chance.uniform(0, 0.08))
            writer.send_signal(signal.SIGKILL)
            lines = [line for line in writer.stdout.read().split("\n")[:-1] if line]
        promised = int(lines[-1]) if lines else first
        store = ReplayStore(folder)
        assert promised <= store.count <= promised + 1
        times = np.arange(store.oldest, store.count)
        for env in range(2):
            rows = store.take(times, env)
            for name in ("observation", "action", "next_observation"):
                assert (rows[name] == times[:, None]).all()
            assert (rows["reward"] == times).all()
            assert (store.frames("camera", rows["frame/camera"]) == (times % 251)[:, None, None, None]).all()
            assert (store.frames("camera", rows["next_frame/camera"]) == ((times + 1) % 251)[:, None, None, None]).all()
        store.close()
        del store


def test_ten_kills_lose_and_alter_nothing(tmp_path: Path) -> None:
    kill_and_check(tmp_path / "replay", 10)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_hundred_kills_lose_and_alter_nothing(tmp_path: Path) -> None:
    kill_and_check(tmp_path / "replay", 200)


def test_memory_of_a_big_store_is_that_of_its_rows(tmp_path: Path) -> None:
    layout = Layout(obs_dim=39, act_dim=4, capacity=1_000_000)
    assert layout.row.itemsize * layout.capacity < 400e6
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    store = ReplayStore(tmp_path / "replay", layout)
    store.append(np.ones(1, layout.row))
    assert store.count == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB: untouched rows cost nothing
