"""Where answers come from. A backend is a class named by an entry point of the group ``varl_vlm_advisor.backends``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Protocol

from varl_common.config import Config, did_you_mean
from varl_common.errors import VarlError

from varl_vlm_advisor.question.question import Question

GROUP = "varl_vlm_advisor.backends"


@dataclass(frozen=True)
class Reply:
    """What a model said, and how long it was."""

    text: str
    truncated: bool = False
    """The model stopped at its token limit, not by itself."""
    tokens_in: int = 0
    tokens_out: int = 0


class Backend(Protocol):
    """A source of answers. All of it runs in the event loop of one thread, so nothing in ``reply`` may block it.

    The module is imported to learn ``Settings``, so heavy imports belong into ``__init__``.
    """

    Settings: ClassVar[type[Config]]
    """Its section of config/advisor.yaml, under the entry point's name. Every field has a default."""
    label: str
    """Who answers, for people: "openai (qwen3-vl-8b)"."""
    sees: ClassVar[bool]
    """Whether it looks at the picture and the text; if not, neither is made."""
    identity: str
    """What decides its answers (model, sampling), and so where they are cached; empty: they aren't."""

    def __init__(self, settings: Any) -> None:
        """Make ready, or raise VarlError with the remedy."""

    async def reply(self, question: Question, sample: int) -> Reply:
        """Answer ``question``; ``sample`` numbers the votes. Raises NoAdvice. Must give way when cancelled."""

    async def close(self) -> None:
        """Let go of what it holds."""


def installed() -> dict[str, EntryPoint]:
    """Entry points of every installed backend, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def backend_class(name: str) -> type[Backend]:
    """The class of the backend ``name``.

    Raises:
        VarlError: no such backend is installed, or it cannot be imported.
    """
    points = installed()
    if name not in points:
        raise VarlError(f"unknown advisor backend {name!r}; {did_you_mean(name, list(points))}")
    try:
        return points[name].load()
    except ImportError as error:
        raise VarlError(f"advisor backend {name!r} cannot be imported ({error}); install what it needs") from None
