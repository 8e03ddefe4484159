"""The replay store: nothing lost when a process dies, a disk is full or power fails."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from varl_agent.replay import store as replay_store
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.layout import Layout, Tag
from varl_agent.replay.store import ReplayStore
from varl_common.errors import VarlError

from .numbered_rows import ACTIONS, BOX, LAYOUT, fill, readable, row


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
    for info in ({}, {"tag": Tag.HUMAN}, {"tag": Tag.DEMONSTRATION}, {"advised": True}):
        buffer.add(np.zeros((1, 5)), np.zeros((1, 5)), np.zeros((1, 2)), np.zeros(1), np.zeros(1), [info])
    assert buffer.store.take(np.arange(4))["tag"].tolist() == [0, 1, 2, Tag.PLAN]


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
