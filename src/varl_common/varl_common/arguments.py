"""Launch arguments: what each means, what it may be, and a sentence for what is wrong."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from varl_common.errors import VarlError, did_you_mean


@dataclass(frozen=True)
class Argument:
    """A launch argument: ``name:=value``. An empty default means: not given."""

    name: str
    description: str
    default: str = ""
    choices: tuple[str, ...] = ()
    check: Callable[[str], object] = str  # raises ValueError with what is expected

    def validate(self, value: str) -> None:
        """Raises VarlError: ``value`` is not one that this argument may have."""
        if self.choices and value not in (*self.choices, self.default):
            raise VarlError(f"unknown {self.name} {value!r}; {did_you_mean(value, list(self.choices))}")
        if value:
            try:
                self.check(value)
            except ValueError as error:
                raise VarlError(f"argument {self.name}:={value}: {error}") from None


def parse(words: Iterable[str]) -> dict[str, str]:
    """``["task:=reach"]`` as ``{"task": "reach"}``.

    Raises:
        VarlError: a word has no ``:=``, or a name comes twice.
    """
    given: dict[str, str] = {}
    for word in words:
        name, assign, value = word.partition(":=")
        if not assign or not name:
            raise VarlError(f"{word!r} is not an argument; write name:=value, such as task:=reach")
        if name in given:
            raise VarlError(f"argument {name!r} is given twice; give it once")
        given[name] = value
    return given


def command_line(program: str, **values: str) -> str:
    """What is typed into a shell to start ``program`` with these arguments: the inverse of :func:`parse`."""
    return " ".join(["varl", program, *(shlex.quote(f"{name}:={value}") for name, value in values.items())])


def complete(arguments: Sequence[Argument], given: Mapping[str, str]) -> dict[str, str]:
    """The value of every argument: as given, or its default.

    Raises:
        VarlError: an argument is unknown, or a value is not one it may have.
    """
    known = {argument.name: argument for argument in arguments}
    for name in given:
        if name not in known:
            raise VarlError(f"unknown argument {name!r}; {did_you_mean(name, list(known))}")
    values = {name: given.get(name, argument.default) for name, argument in known.items()}
    for name, argument in known.items():
        argument.validate(values[name])
    return values


def whole_number(least: int) -> Callable[[str], int]:
    """A check: a whole number of at least ``least``."""

    def check(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", value) or int(value) < least:
            raise ValueError(f"expected a whole number, {least} or more")
        return int(value)

    return check


def positive_number(value: str) -> float:
    """A check: a number greater than 0."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError("expected a number greater than 0")
    return number


def namespace(value: str) -> str:
    """A check: a ROS namespace, with or without its leading slash; returned without."""
    if not re.fullmatch(r"/?([A-Za-z_][A-Za-z0-9_]*)(/[A-Za-z_][A-Za-z0-9_]*)*|/", value):
        raise ValueError("expected names of letters, digits and underscores, such as robot1 or cell/robot1")
    return value.strip("/")


def show(title: str, arguments: Sequence[Argument]) -> str:
    """The arguments as ``ros2 launch --show-args`` lists them."""
    lines = [title, ""]
    for argument in arguments:
        choices = f" One of: {', '.join(argument.choices)}." if argument.choices else ""
        lines += [f"  {argument.name}", f"    {argument.description}{choices}"]
        lines += [f"    (default: '{argument.default}')", ""]
    return "\n".join(lines)
