"""VARL, Soft Actor-Critic with a vision-language model as action advisor, and the node that learns with it.

``from varl_agent import VARL`` gives :class:`varl_agent.sac.varl.VARL`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from varl_agent.openblas import choose_core_type

if TYPE_CHECKING:
    from varl_agent.sac.varl import VARL

__all__ = ["VARL"]

choose_core_type()


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds, which programs that only parse their arguments need not wait for.
    if name == "VARL":
        from varl_agent.sac.varl import VARL

        return VARL
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
