"""Plans of several stages: a second errand begins where the state says that the first is done.

The drawer is open, or the block lies on the tray: each is a sub-goal of a phase.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from varl_common.plan import Phase, Plan
from varl_common.task_plans import PLANS

_OPEN, _CLOSE = -1.0, 1.0
_ABOVE, _NEAR, _AT = 0.10, 0.02, 0.012


def _until(phases: Iterable[Phase], brings: str, to: str, within: float) -> tuple[Phase, ...]:
    """``phases``, the last of them with that sub-goal."""
    *before, last = phases
    return *before, replace(last, brings=brings, to=to, within=within)


def _away(target: str, height: float) -> Phase:
    """Let go and rise ``height`` metres straight above ``target``: far, and so in a wide corridor."""
    return Phase(target, (0.0, 0.0, height), _OPEN, 0.05)


def _laid(block: str, target: str, height: float, x: float = 0.0, above: float = _ABOVE) -> tuple[Phase, ...]:
    """Grasp ``block``, carry it ``above`` metres over ``target``, lay it ``height`` metres over it and let go."""
    return (
        Phase(block, (0.0, 0.0, _ABOVE), _OPEN, _NEAR),
        Phase(block, (0.0, 0.0, 0.0), _OPEN, _AT),
        Phase(block, (0.0, 0.0, 0.0), _CLOSE, _AT),
        Phase(target, (x, 0.0, above), _CLOSE, _NEAR),
        Phase(target, (x, 0.0, height), _CLOSE, _AT),
        Phase(target, (x, 0.0, height), _OPEN, _AT),
    )


_ON_THE_TRAY = _until(_laid("block", "tray", 0.03), "block", "tray", 0.045)

LONG: dict[str, Plan] = {
    "store": Plan(
        (
            *_until(PLANS["drawer"].phases, "handle", "target", 0.04),
            _away("handle", 0.12),
            *_laid("block", "handle", 0.015, 0.095, 0.12),
        )
    ),
    "stack": Plan((*_ON_THE_TRAY, _away("tray", 0.145), *_laid("second", "block", 0.045, above=0.12))),
    "place-press": Plan(
        (
            *_ON_THE_TRAY,
            _away("tray", 0.145),
            # Neither open nor closed on the way: to close where the gripper was open is to grasp.
            Phase("button", (0.0, 0.0, _ABOVE), 0.0, _NEAR),
            *PLANS["button"].phases,
        )
    ),
}
