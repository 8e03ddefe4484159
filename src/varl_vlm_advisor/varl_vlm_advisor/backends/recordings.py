"""Replies recorded on disk, found by the content of their question, so that a run can be repeated for nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from varl_common.files import write_text_atomically

from varl_vlm_advisor.backends import Reply

FORMAT = 1


class Recordings:
    """A folder of replies, one JSON file each. A file that is damaged or of another format is as good as absent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> Reply | None:
        """The reply recorded under ``key``; None where there is none."""
        try:
            entry = json.loads(self._path(key).read_text(encoding="utf-8"))
            if entry["format"] != FORMAT:
                return None
            reply = Reply(**entry["reply"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return reply if isinstance(reply.text, str) else None

    def put(self, key: str, reply: Reply) -> None:
        """Record ``reply`` under ``key``."""
        write_text_atomically(self._path(key), json.dumps({"format": FORMAT, "reply": asdict(reply)}, indent=1))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"
