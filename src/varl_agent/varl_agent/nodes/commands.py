"""Entry points of the executables. What they run takes seconds to import: Ctrl-C meanwhile is an orderly end, too."""

from __future__ import annotations

import importlib
import sys


def learner() -> None:
    """The node ``learner``."""
    _run("varl_agent.nodes.learner")


def evaluate() -> None:
    """The node ``evaluate``."""
    _run("varl_agent.nodes.evaluate")


def teleop() -> None:
    """The node ``teleop``."""
    _run("varl_agent.nodes.teleop")


def _run(module: str) -> None:
    try:
        importlib.import_module(module).main()
    except KeyboardInterrupt:
        sys.exit(130)
