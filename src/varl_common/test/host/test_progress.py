"""The bar is there on a terminal, for what takes long, and nowhere else."""

import io
from collections.abc import Iterator

import pytest
from rich.console import Console
from varl_common.host import progress as module
from varl_common.host.progress import progress


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", -1.0)
    monkeypatch.setenv("TERM", "xterm")


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100)


def seen(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_sees_how_far_it_is_and_all_items_come() -> None:
    shown = console(terminal=True)
    assert list(progress(range(3), "episodes", 3, console=shown)) == [0, 1, 2]
    assert "episodes" in seen(shown)
    assert "/3" in seen(shown)
    assert "left" in seen(shown)


def test_items_may_be_of_different_sizes() -> None:
    shown = console(terminal=True)
    assert list(progress(["ab", "cde"], "steps", 5, size=len, console=shown)) == ["ab", "cde"]
    assert "5/5" in seen(shown)


@pytest.mark.parametrize(("terminal", "term"), [(False, "xterm"), (True, "dumb")])
def test_elsewhere_nothing_is_drawn(terminal: bool, term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    shown = console(terminal=terminal)
    assert list(progress(range(3), "episodes", 3, console=shown)) == [0, 1, 2]
    assert seen(shown) == ""


def test_without_colours_where_none_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    shown = console(terminal=True)
    list(progress(range(3), "episodes", 3, console=shown))
    assert "episodes" in seen(shown)
    assert "\x1b[3" not in seen(shown).replace("\x1b[?25", "")


def test_what_is_broken_off_leaves_the_terminal_as_it_was() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyboardInterrupt

    shown = console(terminal=True)
    with pytest.raises(KeyboardInterrupt):
        list(progress(items(), "episodes", 3, console=shown))
    assert seen(shown).rstrip("\n").endswith(("\x1b[?25h", "\x1b[2K"))


def test_what_is_printed_into_a_file_gets_there(capsys: pytest.CaptureFixture[str]) -> None:
    shown = console(terminal=True)
    for item in progress(range(3), "episodes", 3, console=shown):
        print(f"episode {item}")
    assert capsys.readouterr().out == "episode 0\nepisode 1\nepisode 2\n"
    assert "episode 1" not in seen(shown)
