"""The global random numbers that a Stable-Baselines3 model draws from, as something that saves and loads."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch as th


class RandomState:
    """Python's, numpy's and torch's generators."""

    def state_dict(self) -> dict[str, Any]:
        """Their present states, as plain values and tensors."""
        name, keys, *rest = np.random.get_state()  # noqa: NPY002 (SB3 draws from the global generator)
        cuda = th.cuda.get_rng_state_all() if th.cuda.is_available() else []
        return {
            "python": random.getstate(),
            "numpy": (name, th.from_numpy(np.asarray(keys, np.int64)), *rest),
            "torch": th.get_rng_state(),
            "cuda": cuda,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        random.setstate(state["python"])
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), *rest))  # noqa: NPY002
        th.set_rng_state(state["torch"].cpu())
        if len(state["cuda"]) == th.cuda.device_count() > 0:
            th.cuda.set_rng_state_all([cuda.cpu() for cuda in state["cuda"]])
