"""What people meet first: what is there, what is missing, and which words there are."""

import os
import subprocess

import pytest
from varl_bringup.cli import main
from varl_bringup.completion import SCRIPT, arguments_of, candidates
from varl_bringup.doctor import Sign, doctor
from varl_bringup.graph.programs import PROGRAMS
from varl_common.errors import VarlError
from varl_common.host.terminal import RED, mark

from varl_bringup import doctor as doctor_module

ARGUMENTS = {name: program.arguments for name, program in PROGRAMS.items()}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (" trai", ["train_real", "train_sim"]),
        (" train_sim see", ["seed:="]),
        (" train_sim backend:=m", ["backend:=mujoco"]),
        (" train_sim task:=dra", ["task:=drawer", "task:=drawer-close"]),
        (" find-limits ou", ["out:="]),
        (" nothing x", []),
        (" train_sim seed:=1 seed", []),
    ],
)
def test_words_are_completed(line: str, expected: list[str]) -> None:
    assert candidates(line, PROGRAMS, ARGUMENTS) == expected


def test_arguments_of_a_tool_are_those_of_its_module() -> None:
    from varl_agent.deployment.export import ARGUMENTS as OF_EXPORT

    offered = arguments_of("export")
    if not offered:
        pytest.skip("varl_agent is not installed")
    assert [argument.name for argument in offered] == [argument.name for argument in OF_EXPORT]


def test_an_argument_is_offered_once() -> None:
    offered = candidates(" evaluate run:=x ", PROGRAMS, ARGUMENTS)
    assert "episodes:=" in offered
    assert "run:=" not in offered


@pytest.mark.parametrize(("typed", "words", "expected"), [
    ("varl train_sim backend:=m", "varl train_sim backend := m", "mujoco"),
    ("varl train_sim record:=", "varl train_sim record :=", "false true"),
    ("varl eval", "varl eval", "evaluate"),
])  # fmt: skip
def test_bash_completes_what_stands_after_the_sign(typed: str, words: str, expected: str) -> None:
    """As readline splits it: ':' and '=' end a word."""
    count = len(words.split()) - 1
    # The shell's own `varl` is this process's: none need be installed.
    program = (
        f'{SCRIPT}\nvarl() {{ python -m varl_bringup.cli "$@"; }}\n'
        f'COMP_LINE="{typed}"; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({words}); COMP_CWORD={count}; '
        '_varl; echo "${COMPREPLY[*]}"'
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False, env=os.environ)
    assert done.stdout.strip() == expected, done.stderr


def test_its_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"varl {version('varl_common')}\n"


def test_the_doctor_says_what_is_missing_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor_module, "is_installed", lambda package: package != "varl_agent")
    monkeypatch.setattr(doctor_module, "_run", lambda words, environment=None: "")
    with pytest.raises(VarlError, match="for want of workspace; see"):
        doctor({})
    shown = capsys.readouterr().out
    assert "✗ workspace" in shown
    assert "lacks varl_agent: make build" in shown
    assert "! rendering" in shown, "nothing needs a picture to train from the state"
    assert "\x1b" not in shown


def test_a_machine_that_has_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_module, "diagnose", lambda: [Sign("ROS 2", "jazzy"), Sign("GPU", "none", "buy", False)])
    doctor({})


def test_colours_are_for_terminals_and_not_where_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert mark("x", RED, Terminal()) == "\x1b[31mx\x1b[0m"  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert mark("x", RED, Terminal()) == "x"  # type: ignore[arg-type]
