"""An error that a person can act on."""


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
