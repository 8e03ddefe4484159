"""Entry points of the executables, apart from what they run, which takes seconds to import."""

from __future__ import annotations

import importlib


def learner() -> None:
    """The node ``learner``."""
    importlib.import_module("varl_agent.nodes.learner").main()


def evaluate() -> None:
    """The node ``evaluate``."""
    importlib.import_module("varl_agent.nodes.evaluate").main()


def teleop() -> None:
    """The node ``teleop``."""
    importlib.import_module("varl_agent.nodes.teleop").main()


def deploy() -> None:
    """The node ``deploy``."""
    importlib.import_module("varl_agent.nodes.deploy").main()


def collect() -> None:
    """The node ``collect``."""
    importlib.import_module("varl_agent.nodes.collect").main()
