"""What is not finite is found by name, in whatever it lies."""

from typing import Any

import numpy as np
import pytest
from varl_agent.finite import not_finite, zero_where_not_finite


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.array([[1, 2], [np.nan, 3]]), "x[1, 0] is nan"),
        (np.array([0, 7e4]).astype(np.float32).astype(np.float16), "x[1] is inf"),
        (np.array([1e39]), "x[0] is 1e+39"),
        (float("inf"), "x is inf"),
        ({"image": np.zeros(2, np.uint8), "arm": {"force": np.array([-np.inf])}}, "x/arm/force[0] is -inf"),
        (np.array([1e38, -1e38, 0]), ""),
        (np.array([2**40]), ""),
        (None, ""),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_the_first_is_named(value: Any, words: str) -> None:
    assert not_finite("x", value) == words


def test_only_what_is_not_finite_becomes_zero() -> None:
    value = {"arm": np.array([1, np.nan, -np.inf], np.float32), "image": np.ones(2, np.uint8)}
    mended = zero_where_not_finite(value)
    assert mended["arm"].tolist() == [1, 0, 0]
    assert mended["arm"].dtype == np.float32
    assert mended["image"] is value["image"]
