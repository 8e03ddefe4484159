"""An error that a person can act on."""

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real


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


def is_number(value: object, low: float = -math.inf, high: float = math.inf, whole: bool = False) -> bool:
    """Whether ``value`` is a number, and not nan, from ``low`` to ``high``, both included; ``whole``: of a kind that
    has whole numbers alone. numpy's numbers are such, True and False are none.
    """
    right_kind = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    return right_kind and bool(low <= value <= high)  # type: ignore[operator]


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A clause that offers the nearest of the known names, or all of them where none is near ``name``, of any type."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
