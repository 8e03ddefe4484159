"""Actions as words: what an advisor says per axis, and the numbers that it stands for.

A direction with two magnitudes per axis loses almost nothing of an expert's closed-loop success, where one dominant
direction alone loses half of it (benchmarks/advisor.py measures it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from varl_vlm_advisor.types import GRIPPER

SMALL = 0.3
LARGE = 1.0
# A wider still zone leaves a slow approach short of its goal: at 0.1 a fifth of Meta-World's reaches ended there.
_SMALL_FROM = 0.05
_LARGE_FROM = (SMALL + LARGE) / 2

AXIS_WORDS = {"-large": -LARGE, "-small": -SMALL, "0": 0.0, "+small": SMALL, "+large": LARGE}
GRIPPER_WORDS = {"open": -1.0, "hold": 0.0, "close": 1.0}


def words_of(name: str) -> dict[str, float]:
    """The words that an action's element ``name`` can take, with their values."""
    return GRIPPER_WORDS if name == GRIPPER else AXIS_WORDS


def encode(action: NDArray[np.floating], names: Sequence[str]) -> dict[str, str]:
    """Say ``action`` (shape (n,), [-1, 1]) in words, one per name."""
    return {name: _word(name, float(value)) for name, value in zip(names, action, strict=True)}


def decode(words: Mapping[str, str], names: Sequence[str]) -> NDArray[np.float32]:
    """The action, shape (n,) float32, that ``words`` stand for."""
    return np.array([words_of(name)[words[name]] for name in names], np.float32)


def _word(name: str, value: float) -> str:
    if name == GRIPPER:
        return "close" if value > _SMALL_FROM else "open" if value < -_SMALL_FROM else "hold"
    if abs(value) < _SMALL_FROM:
        return "0"
    return ("+" if value > 0 else "-") + ("large" if abs(value) >= _LARGE_FROM else "small")
