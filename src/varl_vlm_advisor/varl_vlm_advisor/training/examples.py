"""What a model is taught with: a question, its picture and the right answer, kept in files of a few hundred each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from varl_common.errors import VarlError
from varl_common.files import atomic_write


@dataclass(frozen=True)
class Example:
    """One question with its right answer."""

    system: str
    text: str
    image: bytes
    """JPEG, as it is sent to a model; empty where the question has none."""
    answer: str
    """JSON."""
    places: dict[str, list[int]]
    """Where the picture shows each thing, in the model's coordinates."""
    template: str = "v1"
    """Version of the question's wording."""
    objection: str = ""
    rejected: str = ""


def save(examples: Iterable[Example], file: Path) -> None:
    """Write ``examples`` to ``file``, whole or not at all."""
    made = list(examples)
    words = [json.dumps([e.system, e.text, e.answer, e.places]).encode() for e in made]
    pictures = [e.image for e in made]
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as aside, aside.open("wb") as stream:
        np.savez(
            stream,
            words=np.frombuffer(b"".join(words), np.uint8),
            word_ends=np.cumsum([len(one) for one in words]),
            pictures=np.frombuffer(b"".join(pictures), np.uint8),
            picture_ends=np.cumsum([len(one) for one in pictures]),
        )


def load(file: Path) -> list[Example]:
    """What :func:`save` wrote.

    Raises:
        VarlError: it is damaged.
    """
    try:
        with np.load(file, allow_pickle=False) as stored:
            words = _split(stored["words"], stored["word_ends"])
            pictures = _split(stored["pictures"], stored["picture_ends"])
        told = [json.loads(one) for one in words]
        return [
            Example(system, text, picture, answer, places)
            for (system, text, answer, places), picture in zip(told, pictures, strict=True)
        ]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise VarlError(f"{file} holds no whole set of examples ({error}); remove it") from None


def _split(blob: np.ndarray, ends: np.ndarray) -> list[bytes]:
    starts = [0, *ends[:-1].tolist()]
    return [blob[start:end].tobytes() for start, end in zip(starts, ends.tolist(), strict=True)]
