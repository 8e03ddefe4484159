"""Batches of a replay: several drawn at once, and put together from parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch as th
from stable_baselines3.common.type_aliases import DictReplayBufferSamples, ReplayBufferSamples

Batch = ReplayBufferSamples | DictReplayBufferSamples
Item = TypeVar("Item")
AT_ONCE = 20  # batches: a draw of as many rows costs little more than one of a single batch


def in_turn(draw: Callable[[int], list[Item]], count: int, at_once: int = AT_ONCE) -> Iterator[Item]:
    """``count`` batches one after another; ``draw(n)`` gives the next n of them."""
    for first in range(0, count, at_once):
        yield from draw(min(at_once, count - first))


def split(batch: Batch, n: int) -> list[Batch]:
    """The rows of a batch, in their order, as n batches of the same size."""
    if n == 1:
        return [batch]
    fields = [[None] * n if field is None else parted(field, n) for field in batch]
    return [type(batch)(*values) for values in zip(*fields, strict=True)]


def parted(rows: Any, n: int) -> list[Any]:
    """A tensor, or each of a dict's, in n parts of as many rows."""
    if n == 1:
        return [rows]
    if not isinstance(rows, dict):
        return list(rows.split(len(rows) // n))
    values = [parted(value, n) for value in rows.values()]
    return [dict(zip(rows, some, strict=True)) for some in zip(*values, strict=True)]


def joined(first: Batch, second: Batch) -> Batch:
    """Two batches as one."""

    def both(a: Any, b: Any) -> Any:
        if a is None:
            return None
        return {key: th.cat([a[key], b[key]]) for key in a} if isinstance(a, dict) else th.cat([a, b])

    return type(first)(*(both(a, b) for a, b in zip(first, second, strict=True)))
