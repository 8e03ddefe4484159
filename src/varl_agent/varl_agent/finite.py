"""What is not a finite number, by name: one such number that is learned from makes every weight of a network nan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def not_finite(name: str, value: Any) -> str:
    """The first number in ``value`` that is not finite as float32, as ``observation[3] is nan``; "" if all are.

    Args:
        name: what ``value`` is.
        value: an array or a number, or a dict of such.
    """
    if isinstance(value, Mapping):
        return next((words for key, part in value.items() if (words := not_finite(f"{name}/{key}", part))), "")
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return ""
    finite = np.isfinite(_float32(array))
    if finite.all():
        return ""
    place = np.unravel_index(int(np.argmin(finite)), array.shape)
    return f"{name}{list(map(int, place)) or ''} is {array[place]}"


def zero_where_not_finite(value: Any) -> Any:
    """``value``, an array or a dict of such, with 0 in place of what is not finite."""
    if isinstance(value, Mapping):
        return {key: zero_where_not_finite(part) for key, part in value.items()}
    finite = np.isfinite(_float32(value)) if value.dtype.kind == "f" else True
    return value if np.all(finite) else np.where(finite, value, 0).astype(value.dtype)


def _float32(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)
