"""Plans of several stages, each with a sub-goal: which stage a state is in follows from the state alone.

A plan's phases are told apart by where the tool is, so that a second errand begins only after the first is done where
the state says that it is: the drawer is open, the block lies on the tray. A sub-goal says just that, a thing that is
near its place. Where it is lost again the plan falls back to the stage that brings it about.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from varl_common.plan import Phase, Plan, Scene
from varl_common.task_plans import PLANS

_OPEN, _CLOSE = -1.0, 1.0
_ABOVE, _NEAR, _AT = 0.10, 0.02, 0.012


@dataclass(frozen=True)
class Stage:
    """Phases, and what they bring about: ``thing`` within ``within`` metres of ``place``, each a name of the scene."""

    plan: Plan
    thing: str = ""
    place: str = ""
    within: float = 0.0


@dataclass(frozen=True, eq=False)
class Staged(Plan):
    """Acts by the stage that follows the last one whose sub-goal holds."""

    phases: tuple[()] = ()
    stages: tuple[Stage, ...] = ()

    def check(self, scene: Scene) -> None:
        for stage in self.stages:
            stage.plan.check(scene)

    def actions(self, states: np.ndarray, scene: Scene) -> np.ndarray:
        """(n, obs_dim) states to (n, act_dim) in [-1, 1]."""
        at = dict(zip(scene.entities, scene.entity_indices, strict=True))
        actions = self.stages[0].plan.actions(states, scene)
        for before, stage in zip(self.stages, self.stages[1:], strict=False):
            thing, place = (states[:, at[name] : at[name] + 3] for name in (before.thing, before.place))
            done = np.linalg.norm(thing - place, axis=1) <= before.within
            actions[done] = stage.plan.actions(states, scene)[done]
        return actions


def _away(target: str, height: float, phases: Iterable[Phase]) -> Plan:
    """Let go, rise ``height`` metres straight above ``target``, and go on: far, and so in a wide corridor."""
    return Plan((Phase(target, (0.0, 0.0, height), _OPEN, 0.05), *phases))


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


LONG: dict[str, Staged] = {
    "store": Staged(
        stages=(
            Stage(PLANS["drawer"], "handle", "target", 0.04),
            Stage(_away("handle", 0.12, _laid("block", "handle", 0.015, 0.095, 0.12))),
        )
    ),
    "stack": Staged(
        stages=(
            Stage(Plan(_laid("block", "tray", 0.03)), "block", "tray", 0.045),
            Stage(_away("tray", 0.145, _laid("second", "block", 0.045, above=0.12))),
        )
    ),
    "place-press": Staged(
        stages=(
            Stage(Plan(_laid("block", "tray", 0.03)), "block", "tray", 0.045),
            # Neither open nor closed on the way: to close where the gripper was open is to grasp.
            Stage(_away("tray", 0.145, (Phase("button", (0.0, 0.0, _ABOVE), 0.0, _NEAR), *PLANS["button"].phases))),
        )
    ),
}
