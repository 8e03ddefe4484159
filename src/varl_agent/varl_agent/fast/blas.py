"""Matrix products for compiled code, by the fastest library at hand.

Compiled code calls BLAS's ``sgemm`` by its address, so that no Python lies between two products, which saves 4 % of an
update of 2 x 256 units and 14 % of one of 2 x 64. On Intel's processors it is MKL's, which torch brings: on a Xeon with
AVX-512, one core, 207 GFLOPS at 256 x 256 x 256 where OpenBLAS 0.3.30 has 180, and 195 to 131 at 256 x 43 x 256. On
others, where MKL does without AVX-512, it is the OpenBLAS that numpy brings, and where there is neither, scipy's.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic
from threadpoolctl import threadpool_info

from varl_agent.compiling import exact
from varl_agent.processor import identity

_MKL_IN_TORCH = Path(th.__file__).parent / "lib" / "libtorch_cpu.so"


def sgemm_address() -> int:
    """Where the ``sgemm`` to be used lies in memory."""
    candidates = [(library["filepath"], "scipy_sgemm_64_") for library in threadpool_info() if _is_openblas(library)]
    if identity().get("vendor_id") == "GenuineIntel" and th.backends.mkl.is_available():
        candidates.insert(0, (str(_MKL_IN_TORCH), "sgemm_"))
    for path, name in candidates:
        function: Any = getattr(ctypes.CDLL(path), name, None)
        if function is not None:
            return int(ctypes.cast(function, ctypes.c_void_p).value or 0)
    return int(get_cython_function_address("scipy.linalg.cython_blas", "sgemm"))


def _is_openblas(library: dict[str, Any]) -> bool:
    return bool(library["internal_api"] == "openblas")


def _sgemm(
    typing: Any, address: Any, trans_a: Any, trans_b: Any, m: Any, n: Any, k: Any,
    a: Any, lda: Any, b: Any, ldb: Any, c: Any, ldc: Any,
) -> Any:  # fmt: skip
    """c = a b, column by column, as Fortran has it; ``a``, ``b``, ``c`` are addresses.

    Numbers are passed by where they lie, as 64 bits; a library of 32 reads the lower half (little-endian).
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()

        def placed(value: Any) -> Any:
            return builder.bitcast(cgutils.alloca_once_value(builder, value), pointer)

        address, trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc = values
        trans_a, trans_b, m, n, k, lda, ldb, ldc = map(placed, (trans_a, trans_b, m, n, k, lda, ldb, ldc))
        a, b, c = (builder.inttoptr(value, pointer) for value in (a, b, c))
        one, zero = (placed(ir.Constant(ir.FloatType(), number)) for number in (1.0, 0.0))
        function = builder.inttoptr(address, ir.FunctionType(ir.VoidType(), [pointer] * 13).as_pointer())
        builder.call(function, [trans_a, trans_b, m, n, k, one, a, lda, b, ldb, zero, c, ldc])
        return context.get_dummy_value()

    return types.void(types.intp, *[types.uint8] * 2, *[types.intp] * 9), generate


_call: Any = intrinsic(_sgemm)

# A matrix row by row is its transpose column by column: c = a b becomes c' = b' a'.
NO, YES = np.uint8(ord("N")), np.uint8(ord("T"))


@exact
def product(sgemm: int, a: Any, b: Any, out: Any) -> None:
    """out (n, m) = a (n, k) b (k, m), all row by row; a may have columns beyond k."""
    inner, columns = b.shape
    _call(
        sgemm, NO, NO, columns, len(a), inner, b.ctypes.data, columns, a.ctypes.data, a.shape[1],
        out.ctypes.data, columns,
    )  # fmt: skip


@exact
def product_of_transposed(sgemm: int, a: Any, b: Any, out: Any) -> None:
    """out (n, m) = a' b, for a (k, n) and b (k, m); a may have columns beyond n."""
    rows, columns = out.shape
    _call(
        sgemm, NO, YES, columns, rows, len(a), b.ctypes.data, columns, a.ctypes.data, a.shape[1],
        out.ctypes.data, columns,
    )  # fmt: skip


@exact
def product_with_transposed(sgemm: int, a: Any, b: Any, out: Any) -> None:
    """out (n, m) = a b', for a (n, k) and b (m, k)."""
    rows, inner = a.shape
    columns = len(b)
    _call(sgemm, YES, NO, columns, rows, inner, b.ctypes.data, inner, a.ctypes.data, inner, out.ctypes.data, columns)
