"""How the fast update's functions are compiled, and where they are kept: ``~/.cache/varl`` (or ``NUMBA_CACHE_DIR``).

What numba has compiled it takes for valid as long as the function's own file stays as it is, whatever became of the
functions and constants of other files that it uses. So the folder is named after all of these files' contents.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config as numba_config
from numba import njit

import varl_common

config: Any = numba_config  # its names are made at run time

# Every file that a compiled function, or a constant in one, comes from; a test follows their imports.
_PACKAGE, _COMMON = Path(__file__).parent, Path(varl_common.__file__).parent
FILES = (
    _PACKAGE / "compiling.py",
    _PACKAGE / "processor.py",
    _PACKAGE / "advice/plan_labels.py",
    *(
        _PACKAGE / "fast" / f"{name}.py"
        for name in ("adam", "blas", "elementwise", "flat_adam", "inputs", "networks", "packed", "workspace")
    ),
    _PACKAGE / "sac/tanh_gaussian.py",
    _COMMON / "errors.py",
    _COMMON / "plan.py",
)
_contents = hashlib.sha256(b"".join(path.read_bytes() for path in FILES))
_caches = config.CACHE_DIR or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "varl"
FOLDER = Path(_caches) / f"compiled-{_contents.hexdigest()[:16]}"

# nogil: another thread may be acting meanwhile. forceinline: a function that stays by itself may be there twice, with
# other last bits, and a process that compiles it takes the one, a process that loads it the other.
OPTIONS: dict[str, Any] = {"nogil": True, "forceinline": True, "error_model": "numpy"}
# What LLVM may do to sums and products. Every function says it, if only False: inlined, it would take its caller's.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}


def _jit(signature: str | None, fastmath: Any) -> Callable[[Any], Any]:
    # Without the signature a function is compiled for the types that it is called with, when it first is.
    def compile_and_keep(function: Any) -> Any:
        before, config.CACHE_DIR = config.CACHE_DIR, str(FOLDER)
        try:
            return njit(signature, cache=True, fastmath=fastmath, **OPTIONS)(function)
        finally:
            config.CACHE_DIR = before

    return compile_and_keep


compiled = _jit(None, FASTMATH)
# Where tanh is near 1, log(1 - tanh^2) magnifies the last bit of u: no fused multiply-add there, as SB3 has none.
exact = _jit(None, False)


def exact_for(signature: str) -> Callable[[Any], Any]:
    """For arguments of these types, at once: others are turned down, and what is contiguous fits what need not be."""
    return _jit(signature, False)
