"""Batches of a replay: several drawn at once, taken apart and put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.type_aliases import DictReplayBufferSamples, ReplayBufferSamples

from varl_agent.advice.observations import tree_map

Batch = ReplayBufferSamples | DictReplayBufferSamples
Item = TypeVar("Item")
MAX_AT_ONCE = 20  # batches: a draw of as many rows costs little more than one of a single batch
MAX_BYTES = 32 << 20  # of observations drawn at once: more than that, as images have, would crowd the memory


def batches_at_once(space: spaces.Space[Any], batch_size: int) -> int:
    """How many batches of ``batch_size`` observations of ``space`` are drawn at a time."""
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    row = 4 * sum(int(np.prod(part.shape or ())) for part in parts)  # bytes, as float32
    return int(np.clip(MAX_BYTES // max(2 * row * batch_size, 1), 1, MAX_AT_ONCE))


def in_turn(draw: Callable[[int], list[Item]], count: int, at_once: int = MAX_AT_ONCE) -> Iterator[Item]:
    """``count`` batches one after another; ``draw(n)`` gives the next n of them."""
    for first in range(0, count, at_once):
        yield from draw(min(at_once, count - first))


def split(batch: Batch, n: int) -> list[Batch]:
    """The rows of a batch, in their order, as n batches of the same size."""
    if n == 1:
        return [batch]
    fields = [[None] * n if field is None else split_rows(field, n) for field in batch]
    return [type(batch)(*values) for values in zip(*fields, strict=True)]


def split_rows(rows: Any, n: int) -> list[Any]:
    """A tensor, or each of a dict's, in n parts of as many rows."""
    if n == 1:
        return [rows]
    if not isinstance(rows, dict):
        return list(rows.split(len(rows) // n))
    values = [split_rows(value, n) for value in rows.values()]
    return [dict(zip(rows, some, strict=True)) for some in zip(*values, strict=True)]


def shuffled(batch: Batch) -> Batch:
    """The rows of a batch in a random order (torch's global generator)."""
    order = th.randperm(len(batch.rewards))
    fields: list[Any] = [None if field is None else tree_map(field, lambda rows: rows[order]) for field in batch]
    return type(batch)(*fields)


def joined(first: Batch, second: Batch) -> Batch:
    """Two batches as one."""

    def both(a: Any, b: Any) -> Any:
        if a is None:
            return None
        return {key: th.cat([a[key], b[key]]) for key in a} if isinstance(a, dict) else th.cat([a, b])

    return type(first)(*(both(a, b) for a, b in zip(first, second, strict=True)))
