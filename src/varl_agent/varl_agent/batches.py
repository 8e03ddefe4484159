"""Batches of a replay: several drawn at once, and put together from parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch as th
from stable_baselines3.common.type_aliases import DictReplayBufferSamples, ReplayBufferSamples

Batch = ReplayBufferSamples | DictReplayBufferSamples
AT_ONCE = 20  # batches: a draw of as many rows costs little more than one of a single batch


def in_turn(draw: Callable[[int], list[Batch]], count: int, at_once: int = AT_ONCE) -> Iterator[Batch]:
    """``count`` batches one after another; ``draw(n)`` gives the next n of them."""
    for first in range(0, count, at_once):
        yield from draw(min(at_once, count - first))


def split(batch: Batch, n: int) -> list[Batch]:
    """The rows of a batch, in their order, as n batches of the same size."""
    if n == 1:
        return [batch]
    parts = [[None] * n if part is None else _split(part, n) for part in batch]
    return [type(batch)(*fields) for fields in zip(*parts, strict=True)]


def _split(part: Any, n: int) -> list[Any]:
    if not isinstance(part, dict):
        return list(part.split(len(part) // n))
    values = [_split(value, n) for value in part.values()]
    return [dict(zip(part, some, strict=True)) for some in zip(*values, strict=True)]


def joined(first: Batch, second: Batch) -> Batch:
    """Two batches as one."""

    def both(a: Any, b: Any) -> Any:
        if a is None:
            return None
        return {key: th.cat([a[key], b[key]]) for key in a} if isinstance(a, dict) else th.cat([a, b])

    return type(first)(*(both(a, b) for a, b in zip(first, second, strict=True)))
