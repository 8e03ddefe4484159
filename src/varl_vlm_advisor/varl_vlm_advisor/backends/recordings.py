"""Answers recorded on disk, found by the content of their question, so that a run can be repeated for nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from varl_common.files import write_text_atomically

from varl_vlm_advisor.backends import Reply

FORMAT = 2


class Recordings:
    """A folder of validated answers, one JSON file each. One that is damaged or of another format counts as absent.

    An answer belongs to its question and to the way in which its form was asked for (``response_format``).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str, response_format: str | None = None) -> Reply | None:
        """The answer recorded under ``key``, in any response format where none is given; None where there is none."""
        named = [self._path(key, response_format)] if response_format is not None else self._all(key)
        for path in named:
            try:
                entry = json.loads(path.read_text(encoding="utf-8"))
                if entry["format"] == FORMAT and isinstance(entry["answer"], dict):
                    return Reply(json.dumps(entry["answer"]))
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                continue
        return None

    def put(self, key: str, response_format: str, answer: dict[str, Any]) -> None:
        """Record ``answer`` under ``key``."""
        write_text_atomically(
            self._path(key, response_format), json.dumps({"format": FORMAT, "answer": answer}, indent=1)
        )

    def _all(self, key: str) -> list[Path]:
        return sorted((self.folder / key[:2]).glob(f"{key}*.json"))

    def _path(self, key: str, response_format: str) -> Path:
        return self.folder / key[:2] / f"{key}{f'.{response_format}' if response_format else ''}.json"
