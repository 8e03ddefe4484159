"""Where answers come from. A backend is a class named by an entry point of the group ``varl_vlm_advisor.backends``."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Protocol

from varl_common.config import Config
from varl_common.errors import VarlError, did_you_mean

from varl_vlm_advisor.question.question import Question

GROUP = "varl_vlm_advisor.backends"


@dataclass(frozen=True)
class Reply:
    """What a model said, wherever in a server's message it stood."""

    text: str
    """What it said as its answer; thinking may stand in it between tags."""
    thinking: str = ""
    """What the server set apart as thinking. Some put the answer there too."""
    refusal: str = ""
    """Why the model, or a filter before it, declines; empty where it does not."""
    truncated: bool = False
    """The model stopped at its token limit, not by itself."""
    tokens_in: int = 0
    """Tokens of the question; 0 where the server does not say."""
    tokens_out: int = 0
    """Tokens of all that it said, its thinking included; 0 where the server does not say."""
    secret: str = field(default="", repr=False)
    """The key that was sent: the model may repeat it, and no person may read it in a reason."""


class AskAgain(Exception):
    """The server refused the way in which it was asked; the backend has changed that, so ask the same again at once."""


class Backend(Protocol):
    """A source of answers. All of it runs in the event loop of one thread, so nothing in ``reply`` may block it.

    The module is imported to learn ``Settings``, so heavy imports belong into ``__init__``. A backend may have an
    attribute ``response_format``: how it asks for the form of an answer now; recorded answers belong to one such form.
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
        """Ask once: one request, one generation. ``sample`` numbers the votes. Must give way when cancelled.

        Raises:
            NoAdvice: there is no reply.
            AskAgain: it was asked in a way that the server refuses, and asks differently from now on.
        """

    async def close(self) -> None:
        """Release what it holds."""


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
