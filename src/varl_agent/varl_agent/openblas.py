"""OpenBLAS's choice of its code path, put right where it is known to be wrong.

Up to 0.3.34, in the wheels of numpy and scipy, OpenBLAS does not know AMD's family 26 (Zen 5) and multiplies there with
code for AVX2, at half the speed of those for AVX-512: https://github.com/OpenMathLib/OpenBLAS/issues/6029. It reads
``OPENBLAS_CORETYPE`` when numpy loads it, so this must come before the first import of numpy.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

from varl_agent.processor import CPUINFO, identity

CORE_TYPE = "OPENBLAS_CORETYPE"
FAMILY, WANTED = "26", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}


def choose_core_type(cpuinfo: Path = CPUINFO) -> None:
    """Set ``OPENBLAS_CORETYPE`` on such a processor, unless the user has; a warning where numpy is loaded already."""
    if CORE_TYPE in os.environ or not misjudged(cpuinfo):
        return
    if "numpy" in sys.modules:
        warnings.warn(
            "numpy was imported before varl_agent, and on this processor its OpenBLAS multiplies at half speed; import"
            f" varl_agent first, or set {CORE_TYPE}=SkylakeX in the environment",
            RuntimeWarning,
            stacklevel=3,
        )
    os.environ[CORE_TYPE] = "SkylakeX"  # for the processes that this one starts, if not for this one


def misjudged(cpuinfo: Path) -> bool:
    """Whether the processor is one that OpenBLAS takes for an older one."""
    processor = identity(cpuinfo)
    family, flags = processor.get("cpu family", ""), set(processor.get("flags", "").split())
    return processor.get("vendor_id") == "AuthenticAMD" and family == FAMILY and flags >= WANTED
