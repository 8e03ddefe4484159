"""What is compiled, how it multiplies, and when it is compiled anew."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from varl_agent.blas import (
    get_cython_function_address,
    product,
    product_of_transposed,
    product_with_transposed,
    sgemm_address,
)
from varl_agent.compiling import FILES

SCIPY = int(get_cython_function_address("scipy.linalg.cython_blas", "sgemm"))


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("sgemm", [sgemm_address(), SCIPY], ids=["chosen", "scipy"])
@pytest.mark.parametrize(
    ("multiply", "a", "b", "expected"),
    [
        (product, numbers(30, 40), numbers(40, 17), lambda a, b: a @ b),
        (product_of_transposed, numbers(40, 30), numbers(40, 17), lambda a, b: a.T @ b),
        (product_with_transposed, numbers(30, 40), numbers(17, 40), lambda a, b: a @ b.T),
    ],
    ids=["a b", "a' b", "a b'"],
)
def test_products(sgemm: int, multiply: Any, a: np.ndarray, b: np.ndarray, expected: Callable[..., Any]) -> None:
    out = np.full((30, 17), np.nan, np.float32)
    multiply(sgemm, a, b, out)
    np.testing.assert_allclose(out, expected(a, b), rtol=1e-4, atol=1e-5)


def test_every_file_with_compiled_functions_makes_them_compiled_anew() -> None:
    """numba looks only at a function's own file: one that is left out here would go on as it was."""
    import varl_agent.compiling as module

    package = Path(module.__file__).parent
    compiled = {path.name for path in package.glob("*.py") if "varl_agent.compiling import" in path.read_text()}
    assert compiled | {"compiling.py"} == set(FILES)
