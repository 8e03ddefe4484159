"""What is compiled, how it multiplies, and when it is compiled anew."""

import ast
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from varl_agent.compiling import FILES
from varl_agent.fast.blas import (
    get_cython_function_address,
    product,
    product_of_transposed,
    product_with_transposed,
    sgemm_address,
)

import varl_agent

PACKAGE = Path(varl_agent.__file__).parent
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
    compiled = [path for path in PACKAGE.rglob("*.py") if "varl_agent.compiling import" in path.read_text()]
    assert compiled
    needed = {PACKAGE / "compiling.py", *compiled}
    for path in compiled:
        needed |= {*_imported(path)}
    assert needed <= set(FILES)


def _imported(path: Path) -> Iterator[Path]:
    """The files of this project that ``path`` imports names from."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("varl_agent", "varl_common")):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                found = importlib.util.find_spec(name) if name.count(".") < 3 and _is_module(name) else None
                if found is not None and found.origin is not None and not found.origin.endswith("__init__.py"):
                    yield Path(found.origin)


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


UPDATES = """
import sys, varl_agent, numpy, torch
sys.path.insert(0, sys.argv[1])
from test_fast_update import FastUpdate, VARLPolicy, make, parameters, train
model = make(policy=VARLPolicy, policy_kwargs={"net_arch": [32, 32]})
update = FastUpdate(model)
for seed in range(3):
    train(model, update.train, seed)
print(parameters(model).numpy().tobytes().hex())
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_who_compiles_gets_the_same_numbers_as_who_loads_it(tmp_path: Path) -> None:
    """A run that compiled and one that did not, such as one that is resumed, are the same to the last bit."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", UPDATES, str(Path(__file__).parent)]
    compiling, loading = (
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout for _ in range(2)
    )
    assert list((tmp_path / "varl").glob("compiled-*"))
    assert len(compiling) > 1000
    assert compiling == loading
