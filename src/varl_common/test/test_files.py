"""Files are whole or not there, whoever fails or writes beside."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from varl_common.errors import VarlError
from varl_common.files import atomic_write, real_path, short_path, write_text_atomically
from varl_common.yaml_file import load_yaml


def test_a_real_path_follows_links_and_leaves_a_circle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "latest").symlink_to("run")
    (tmp_path / "circle").symlink_to("circle")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert real_path("latest/") == real_path("~/latest") == tmp_path / "run"
    assert real_path("circle") == tmp_path / "circle"
    assert short_path(tmp_path / "run") == "run"
    assert short_path(tmp_path.parent) == str(tmp_path.parent), "not by way of .."


def test_a_yaml_file_that_is_not_there_is_refused_with_those_that_are_not_hidden(tmp_path: Path) -> None:
    (tmp_path / ".pre-commit-config.yaml").touch()
    with pytest.raises(VarlError, match="its folder has no YAML file"):
        load_yaml(tmp_path / "no.yaml")
    (tmp_path / "mine.yaml").touch()
    with pytest.raises(VarlError, match=r"there are: mine\.yaml$"):
        load_yaml(tmp_path / "no.yaml")


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
