"""An error that a person can act on."""


class VarlError(Exception):
    """Something the user can put right.

    The message is one line that says what is wrong, what was expected and what to do. Programs print it
    without a traceback and exit with status 2.
    """
