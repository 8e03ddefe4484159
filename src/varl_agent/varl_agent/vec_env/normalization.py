"""VecNormalize's statistics, of accepted transitions only: it takes in each step before anybody has looked at it."""

from __future__ import annotations

from copy import deepcopy

from stable_baselines3.common.vec_env import VecNormalize

STATISTICS = ("obs_rms", "ret_rms", "returns")


class AcceptedStatistics:
    """The running means and variances as they were after the last step that was accepted.

    One number that is not finite would make them nan for the rest of a run, and every observation with them.
    """

    def __init__(self, normalize: VecNormalize) -> None:
        self._normalize = normalize
        self.accept()

    def accept(self) -> None:
        """Keep what the last step made of the statistics."""
        self._saved = {name: deepcopy(getattr(self._normalize, name, None)) for name in STATISTICS}

    def reject(self) -> None:
        """Undo what the last step did to the statistics."""
        for name, value in deepcopy(self._saved).items():
            setattr(self._normalize, name, value)
