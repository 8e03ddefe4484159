"""What the advisor has done, counted for diagnostics."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

_RECENT = 500


@dataclass
class Statistics:
    """Counts since the start of the process."""

    requests: int = 0
    states: Counter[str] = field(default_factory=Counter)
    """Answers by the name of their status."""
    pointings: Counter[str] = field(default_factory=Counter)
    """Pointings, likewise."""
    verdicts: Counter[str] = field(default_factory=Counter)
    """Verdicts, likewise."""
    events: Counter[str] = field(default_factory=Counter)
    """calls, replies (cached ones too), cached, retries, repairs, identical."""
    tokens_in: int = 0
    tokens_out: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    """Seconds of the newest calls of the model."""
    last_problem: str = ""

    @property
    def heard(self) -> int:
        """Replies that the model itself has given, none of them from the cache."""
        return self.events["replies"] - self.events["cached"]

    def latency(self, percentile: float) -> float:
        """Seconds; 0 before the first call."""
        return float(np.percentile(list(self.latencies), percentile)) if self.latencies else 0.0
