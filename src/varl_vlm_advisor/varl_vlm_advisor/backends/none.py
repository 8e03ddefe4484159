"""The backend ``none``: nobody is there to ask."""

from __future__ import annotations

from typing import ClassVar

from varl_common.advice_status import AdviceStatus
from varl_common.config import Config

from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.types import NoAdvice


class NoneBackend:
    """Declines every question."""

    class Settings(Config):
        """It has none."""

    label = "none"
    identity = ""
    sees: ClassVar[bool] = False

    def __init__(self, settings: Settings) -> None:
        pass

    async def reply(self, question: Question, sample: int) -> Reply:
        """Raise NoAdvice, always."""
        raise NoAdvice(AdviceStatus.REFUSED, "no advisor is configured (backend: none)")

    async def close(self) -> None:
        """It holds nothing."""
