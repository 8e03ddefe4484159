"""Things that a vision-language model points at: a localiser follows them, taught by it, and taught again.

At first the model is shown a picture every second or so. By its pointings a localiser is taught, in a thread beside,
and taught anew when there are twice as many. From then on the model is shown a picture now and then: where it and the
localiser disagree several times, the localiser is let go. Nothing is seen then, rather than something false, until
new pointings have taught another.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from varl_common.errors import VarlError

from varl_robot_env.perception.kept_pointings import KeptPointings
from varl_robot_env.perception.localiser import Localiser, Pointing, Sighting, at_scale, shrink
from varl_robot_env.perception.localiser_config import LocaliserConfig
from varl_robot_env.perception.teaching import teach
from varl_robot_env.types import Array, Image

log = logging.getLogger(__name__)

_CHECKS, _DISAGREEMENTS = 10, 4  # of the newest checks so many: with a model that slips in one of ten, a chance of 1 %
_APART = 0.1  # share of the width: five times the median error of a good model
_GIVES_WAY = 10  # niceness of the thread that teaches: the camera's pictures go first


@dataclass(frozen=True)
class Shown:
    """A picture that the model is to be shown, and what the localiser made of it then; None: there was none."""

    rgb: Image
    found: Mapping[str, Sighting] | None


class PointedThings:
    """Finds ``names``. :meth:`find` and :meth:`due` are for the thread that has the camera; nothing in them waits."""

    def __init__(self, names: Sequence[str], config: LocaliserConfig, folder: Path | None = None) -> None:
        """With pointings in ``folder`` that were kept it begins to be taught at once.

        Raises:
            VarlError: the folder cannot be written.
        """
        torch.set_num_threads(1)  # of a picture this small several threads make no faster work, and starve the rest
        self._names, self._config = list(names), config
        try:
            self._kept = KeptPointings(names, config.most, folder)
        except OSError as error:
            raise VarlError(f"the folder {folder} cannot be used: {error.strerror}; name one you may write") from None
        self._localiser: Localiser | None = None
        self._teaching: Future[Localiser | None] | None = None
        self._thread = ThreadPoolExecutor(1, "localiser", _give_way)
        self._closed = threading.Event()
        self._asked_at = -np.inf
        self._taught_by = 0
        self._agreed: deque[bool] = deque(maxlen=_CHECKS)
        self._told = len(self._kept)  # since it was last begun with
        self.times_taught = 0
        self._teach_where_due()

    @property
    def status(self) -> str:
        """What it does, for a person."""
        if self._localiser is None and self._teaching is None:
            return f"waits to be taught: {self._told} of {self._config.first} pictures pointed at"
        if self._teaching is not None:
            return f"is taught by {self._taught_by} pictures"
        return f"taught by {self._taught_by} pictures; the model agrees in {sum(self._agreed)} of {len(self._agreed)}"

    def find(self, rgb: Image) -> dict[str, Sighting]:
        """The things that are seen in ``rgb`` (h, w, 3); it is lost about the others."""
        self._take_over()
        return {} if self._localiser is None else self._localiser.find(rgb)

    def due(self, rgb: Image, now: float) -> Shown | None:
        """``rgb`` for the model to be shown, if it is time: ``now`` is in seconds of any clock."""
        settled = self._localiser is not None and self._told >= self._config.most
        wait = self._config.check_every if settled else self._config.every
        if now - self._asked_at < wait:
            return None
        self._asked_at = now
        found = None if self._localiser is None else self._localiser.find(rgb)
        return Shown(np.array(rgb), found)

    def told(self, shown: Shown, pixels: Mapping[str, Array | None]) -> None:
        """What the model said of a picture: pixels of the things that it was sure about, None where it sees none."""
        if not pixels:
            return
        small, scale = shrink(shown.rgb)
        scaled = {name: None if pixel is None else at_scale(pixel, scale) for name, pixel in pixels.items()}
        self._kept.add(Pointing(small, scaled))
        self._told = min(self._told + 1, self._config.most)
        if shown.found is not None and self._localiser is not None:
            self._agreed.append(_agree(shown.found, pixels, shown.rgb.shape[1]))
            if self._agreed.count(False) >= _DISAGREEMENTS:
                log.warning("the model sees the things elsewhere than the localiser does: it is taught again")
                self._let_go()
        self._teach_where_due()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _let_go(self) -> None:
        """What was right about an older scene is not to be taught again."""
        self._localiser, self._told, self._taught_by = None, 0, 0
        self._agreed.clear()

    def _teach_where_due(self) -> None:
        """At so many pictures as it takes, and whenever there are twice as many."""
        due = self._config.first if self._taught_by == 0 else min(2 * self._taught_by, self._config.most)
        if self._teaching is None and self._told >= due > self._taught_by:
            self._taught_by = self._told
            newest = list(self._kept)[-self._told :]
            self._teaching = self._thread.submit(teach, self._names, newest, stopped=self._closed.is_set)

    def _take_over(self) -> None:
        """The localiser that has been taught meanwhile."""
        if self._teaching is None or not self._teaching.done():
            return
        done, self._teaching = self._teaching, None
        taught = done.result()
        if taught is None or self._taught_by == 0:
            return  # let go while it was taught
        taught.confidence = self._config.confidence
        self._localiser, self.times_taught = taught, self.times_taught + 1
        self._agreed.clear()
        log.info("the localiser has been taught by %d pictures", self._taught_by)
        self._teach_where_due()


def _agree(found: Mapping[str, Sighting], pixels: Mapping[str, Array | None], width: int) -> bool:
    for name, pixel in pixels.items():
        seen = found.get(name)
        if (seen is None) != (pixel is None):
            return False
        if seen is not None and pixel is not None and np.linalg.norm(seen.pixel - pixel) > _APART * width:
            return False
    return True


def _give_way() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _GIVES_WAY)  # on Linux that is the thread alone
