"""Arrays that compiled code is handed as one: to take a hundred of them from Python takes longer than many a kernel."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.experimental import structref

from varl_agent.compiling import compiled


@structref.register
class _PackedType(types.StructRef):
    """What compiled code sees of :class:`Packed`."""


class Packed(structref.StructRefProxy):
    """A tuple of arrays, or of tuples of such; ``all`` in compiled code."""


structref.define_proxy(Packed, _PackedType, ["all"])


@compiled
def pack(everything: Any) -> Any:
    """``everything``, a tuple, to be given to compiled functions again and again."""
    return Packed(everything)
