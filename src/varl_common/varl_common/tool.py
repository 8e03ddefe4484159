"""A command that brings up no graph: the same form of arguments as ``varl``'s programs, errors in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from varl_common.arguments import Argument, complete, parse, show
from varl_common.errors import VarlError


def run_tool(name: str, purpose: str, arguments: Sequence[Argument], do: Callable[[dict[str, str]], object]) -> None:
    """Body of the console script ``varl <name>``: ``do`` with the value of every argument, then exit.

    With status 0, 2 after a VarlError (one line on stderr) or 130 after Ctrl-C.
    """
    words = sys.argv[1:]
    if {"-h", "--help", "-s", "--show-args"} & set(words):
        print(show(f"varl {name}: {purpose} Arguments (name:=value):", arguments))
        sys.exit(0)
    try:
        do(complete(arguments, parse(words)))
    except VarlError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
