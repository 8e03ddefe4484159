"""Each command in the documentation runs, in a quick form. They are read from the pages: none can be forgotten."""

import re
from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy")

from .commands.forms import FORMS, form_of
from .commands.graphs import GRAPHS
from .commands.machine import Machine
from .commands.needs import NEEDS
from .commands.pages import NOT_RUN, Command, commands, pages

ALL = [command for page in pages() for command in commands(page)]


def graph(command: Command) -> int:
    """Those that need the same graph come one after the other, so that it is brought up once."""
    return next((list(GRAPHS).index(need) + 1 for need in form_of(command.text).needs if need in GRAPHS), 0)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    yield machine
    machine.end()


RUN = sorted((command for command in ALL if not command.reason), key=graph)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("command", RUN, ids=str)
def test_a_command_runs(command: Command, machine: Machine) -> None:
    text, status, output = machine.run(command)
    assert status == 0, f"{text}\n{output}"
    assert "Traceback" not in output, f"{text}\n{output}"
    assert re.search(form_of(command.text).says, output, re.DOTALL), f"{text}\n{output}"


def test_a_tenth_at_most_is_not_run_and_each_says_why_and_what_is_instead() -> None:
    left_out = [command for command in ALL if command.reason]
    assert 0 < len(left_out) <= len(ALL) / 10
    assert all(command.instead for command in left_out)
    marks = [mark for page in pages() for mark in NOT_RUN.findall(page.read_text(encoding="utf-8"))]
    assert len(marks) == len(left_out), "a comment names a command that its block does not have"


def test_no_form_is_of_a_command_that_no_page_has() -> None:
    used = {form_of(command.text).command for command in ALL}
    assert [form.command for form in FORMS if form.command not in used] == []
    assert {need for form in FORMS for need in form.needs} <= {*NEEDS, *GRAPHS}
