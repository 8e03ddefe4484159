"""Files are whole or not there, whoever fails or writes beside."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from varl_common.files import atomic_write, write_text_atomically


def test_a_body_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), atomic_write(path) as aside:
        aside.write_text("half \ud83d", encoding="utf-8")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_many_writers_of_one_file_leave_one_whole_file(tmp_path: Path) -> None:
    path, texts = tmp_path / "made" / "answer.json", [f"{number}" * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda text: write_text_atomically(path, text), texts))
    assert path.read_text() in texts
    assert list(path.parent.iterdir()) == [path]


def test_half_a_surrogate_pair_is_written_as_its_escape(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "reason", "left \ud83d")
    assert (tmp_path / "reason").read_text() == "left \\ud83d"


def test_a_file_is_readable_by_whoever_the_umask_lets(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    write_text_atomically(tmp_path / "atomic", "")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "usual").stat().st_mode
