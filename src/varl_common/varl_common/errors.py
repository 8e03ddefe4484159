"""An error that a person can act on."""

import difflib
from collections.abc import Iterable


class VarlError(Exception):
    """Something the user can put right.

    The message is one line that says what is wrong, what was expected and what to do. Programs print it
    without a traceback and exit with status 2.
    """


def expect(fits: bool, name: str, value: object, expected: str) -> None:
    """That the setting ``name`` is as ``expected`` says.

    Raises:
        VarlError: ``fits`` is False.
    """
    if not fits:
        raise VarlError(f"{name} is {value!r}, expected {expected}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A clause that offers the nearest of the known names, and all of them where none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
