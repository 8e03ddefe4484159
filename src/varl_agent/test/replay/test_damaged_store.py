"""A store that is not what it says, or whose making or writing was cut short."""

from __future__ import annotations

import mmap
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from varl_agent.replay import store as replay_store
from varl_agent.replay.layout import Layout
from varl_agent.replay.stand_ins import replace_broken_rows
from varl_agent.replay.store import ReplayStore
from varl_common.errors import VarlError

from .numbered_rows import LAYOUT, fill, readable


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


def test_a_store_of_no_rows_has_no_broken_ones(tmp_path: Path) -> None:
    """As a training leaves it that is killed between its first checkpoint and its first step."""
    assert replace_broken_rows(ReplayStore(tmp_path / "replay", LAYOUT)) == 0
