"""The backend ``replay``: replies that another backend's cache recorded; nobody is asked, and nothing is spent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from pydantic import Field
from varl_common.advice_status import AdviceStatus
from varl_common.config import Config
from varl_common.errors import VarlError

from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.backends.recordings import Recordings
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.types import NoAdvice


class ReplayBackend:
    """Looks each question up in one model's folder of the cache."""

    class Settings(Config):
        """Section ``replay``."""

        folder: str = Field(
            default="", description="one model's folder within a cache, as the node named it when it recorded"
        )

    sees: ClassVar[bool] = True
    identity = ""

    def __init__(self, settings: Settings) -> None:
        folder = Path(settings.folder).expanduser()
        if not settings.folder or not os.path.isdir(folder):  # which Path.is_dir does not tell of a name too long
            raise VarlError(f"advisor: replay.folder {settings.folder!r} is no folder; set it to a model's recordings")
        self.label = f"replay of {folder.name}"
        self._cache = Recordings(folder)

    async def reply(self, question: Question, sample: int) -> Reply:
        """The recorded reply."""
        reply = self._cache.get(question.key(sample))
        if reply is None:
            raise NoAdvice(AdviceStatus.UNAVAILABLE, "no answer to this question has been recorded")
        return reply

    async def close(self) -> None:
        """It holds nothing."""
