"""Names that a robot's file gives, checked where it is read: ROS itself would end a node in a traceback."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_TOPIC = re.compile(r"(~/|/)?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")


def _topic(value: str) -> str:
    if not _TOPIC.fullmatch(value):
        raise ValueError("expected a ROS name: letters, digits, underscores and slashes, as in arm_controller/state")
    return value


def _name(value: str) -> str:
    if not value or re.search(r"\s", value):
        raise ValueError("expected a name without blanks")
    return value


def _words(value: str) -> str:
    if not value.strip():
        raise ValueError("expected words for whoever reads why the arm stopped")
    return value


def _or_empty(value: str) -> str:
    return _topic(value) if value else value


Topic = Annotated[str, AfterValidator(_topic)]
"""Of a topic, service, action or node: relative, absolute or private (``~/``)."""
TopicOrNone = Annotated[str, AfterValidator(_or_empty)]
"""The same, or empty."""
Name = Annotated[str, AfterValidator(_name)]
"""Of a joint, a frame, a camera."""
Words = Annotated[str, AfterValidator(_words)]
"""For a person."""
