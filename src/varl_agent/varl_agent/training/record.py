"""What has happened in a training run so far: one record for the bar, the status topic, the report and a resume."""

from __future__ import annotations

import enum
import time
from dataclasses import asdict, astuple, dataclass, field
from typing import Any

import numpy as np

WINDOW = 50  # episodes over which success and return are averaged


class Phase(enum.IntEnum):
    """As TrainingStatus.msg numbers them."""

    STARTING = 0
    TRAINING = 1
    EVALUATING = 2
    PAUSED = 3
    FINISHED = 4
    FAILED = 5


@dataclass(frozen=True)
class Episode:
    """One whole episode. ``step``: environment steps of the training when it ended; ``helped``: a plan or a
    person acted in it."""

    step: int
    success: bool
    episode_return: float
    length: int
    helped: bool = False


@dataclass(frozen=True)
class Evaluation:
    """Whole episodes with the deterministic policy, at ``step`` of the training."""

    step: int
    success_rate: float
    mean_return: float


@dataclass
class Record:
    """The run in numbers. ``wall_s`` counts over all parts of a resumed run."""

    total_steps: int
    phase: Phase = Phase.STARTING
    message: str = ""
    step: int = 0
    updates: int = 0
    episodes: list[Episode] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    wall_before: float = 0.0
    since: float = field(default_factory=time.monotonic)

    @property
    def wall_s(self) -> float:
        """Seconds of training."""
        return self.wall_before + time.monotonic() - self.since

    @property
    def own(self) -> list[Episode]:
        """Those in which the policy acted alone: what a plan or a person achieves says nothing of it."""
        return [episode for episode in self.episodes if not episode.helped]

    @property
    def success_rate(self) -> float:
        """Share of successes in the policy's newest training episodes, 0 before the first."""
        newest = self.own[-WINDOW:]
        return float(np.mean([episode.success for episode in newest])) if newest else 0.0

    @property
    def mean_return(self) -> float:
        """Mean return of the policy's newest training episodes, 0 before the first."""
        newest = self.own[-WINDOW:]
        return float(np.mean([episode.episode_return for episode in newest])) if newest else 0.0

    @property
    def eval_success_rate(self) -> float:
        """Of the newest evaluation, -1 before the first."""
        return self.evaluations[-1].success_rate if self.evaluations else -1.0

    @property
    def first_success_step(self) -> int | None:
        """Step at which the policy's first training episode succeeded, None before."""
        return next((episode.step for episode in self.own if episode.success), None)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        episodes = [astuple(episode) for episode in self.episodes]
        return {
            "episodes": np.array(episodes, np.float64).reshape(-1, 5),
            "evaluations": [asdict(evaluation) for evaluation in self.evaluations],
            "wall_s": self.wall_s,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self.episodes = [  # an older file has no column that tells whether it was helped
            Episode(int(s), bool(ok), float(r), int(n), any(helped)) for s, ok, r, n, *helped in state["episodes"]
        ]
        self.evaluations = [Evaluation(**evaluation) for evaluation in state["evaluations"]]
        self.wall_before, self.since = state["wall_s"], time.monotonic()
