"""What several plans together advise in many states, compiled: ``Plan.actions`` and ``vote`` in one pass.

There a batch of 256 states and three plans are a hundred small steps of numpy, a tenth of an update's time. Plans that
turn the tool or brake ahead are few, and are left to numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from varl_common.errors import VarlError
from varl_common.plan import GRIPPER, MOTIONS, SHUT, TOOL, Plan, Scene, vote

from varl_agent.compiling import exact, exact_for

F32 = np.float32
# Columns of a phase as numbers; the first of a thing's three numbers in a state stands for it, -1 for none.
_TARGET, _OFFSET, _GRIPPER, _TOLERANCE, _OPPOSITE, _STANDOFF = 0, 1, 4, 5, 6, 7
# Columns of a stage as numbers: its first phase, its plan, and the sub-goal before it, if any.
_FIRST, _PLAN, _BRINGS, _TO, _WITHIN = range(5)
_HAND, _NOTHING = 3, -1  # what an element of the action is: 0, 1, 2: a motion along that axis


class Labeller:
    """Plans of one scene as arrays; called with (n, obs_dim) states gives the (n, act_dim) advised actions."""

    def __init__(self, plans: Sequence[Plan], scene: Scene) -> None:
        finer = any(plan.turns(scene) or plan.brakes_ahead(scene) for plan in plans)
        self._by_numpy = (plans, scene) if finer else None
        at = dict(zip(scene.entities, scene.entity_indices, strict=True)) | {"": -1}
        self._phases = np.array(
            [
                (at[p.target], *p.offset, p.gripper, p.tolerance, at[p.opposite], p.standoff)
                for plan in plans
                for p in plan.phases
            ],
            F32,
        )
        self._stages = np.array(_stages(plans, at), F32)
        names = list(scene.observation_names)
        hand = names.index(GRIPPER) if GRIPPER in names else -1
        low, high = (0.0, 1.0) if hand < 0 else (scene.observation_low[hand], scene.observation_high[hand])
        kinds = {**{name: axis for axis, name in enumerate(MOTIONS)}, GRIPPER: _HAND}
        self._kinds = np.array([kinds.get(name, _NOTHING) for name in scene.action_names])
        self._scales = np.array(scene.action_scale, np.float64)
        self._tool, self._hand = at[TOOL], (hand, F32(low), F32(max(high - low, 1e-9)))
        self._needs = max([hand + 1, *(first + 3 for first in at.values())])

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """The median of the plans' actions, axis by axis.

        Raises:
            VarlError: the states are shorter than the scene says: compiled code would read what lies behind them.
        """
        if states.shape[1] < self._needs:
            raise VarlError(f"states have {states.shape[1]} numbers, expected {self._needs} of this scene")
        if self._by_numpy is not None:
            plans, scene = self._by_numpy
            return vote([plan.actions(states, scene) for plan in plans])
        actions = np.empty((len(states), len(self._kinds)), F32)
        _label(
            np.asarray(states, F32), self._phases, self._stages, self._tool, *self._hand, self._kinds, self._scales,
            actions,
        )  # fmt: skip
        return actions


def _stages(plans: Sequence[Plan], at: dict[str, int]) -> list[tuple[float, ...]]:
    """All stages of all plans in order, and a row more for where they end; ``at``: index of a thing in a state."""
    rows, first, none = [], 0, (-1, -1, 0.0)
    for number, plan in enumerate(plans):
        subgoal: tuple[float, ...] = none
        for stage in plan.stages:
            rows.append((first, number, *subgoal))
            first += len(stage)
            subgoal = at[stage[-1].brings], at[stage[-1].to], stage[-1].within
    return [*rows, (first, len(plans), *none)]


@exact
def _has_begun(state: Any, stage: Any) -> Any:
    """Whether the sub-goal before it holds; a plan's first has none."""
    if stage[_BRINGS] < 0:
        return True
    thing, place, total = int(stage[_BRINGS]), int(stage[_TO]), F32(0)
    for axis in range(3):
        apart = state[thing + axis] - state[place + axis]
        total += apart * apart
    return total <= stage[_WITHIN] * stage[_WITHIN]


@exact
def _place(state: Any, phase: Any, place: Any) -> None:
    """Where a phase sends the tool, (3,) metres."""
    target, opposite = int(phase[_TARGET]), int(phase[_OPPOSITE])
    for axis in range(3):
        place[axis] = state[target + axis] + phase[_OFFSET + axis]
    if opposite >= 0:
        x, y = state[target] - state[opposite], state[target + 1] - state[opposite + 1]
        share = phase[_STANDOFF] / max(np.sqrt(x * x + y * y), F32(1e-6))
        place[0] += share * x
        place[1] += share * y


@exact
def _far(state: Any, tool: int, start: Any, end: Any) -> Any:
    """The tool's squared distance to the segment from ``start`` to ``end``."""
    dot = length = F32(0)
    for axis in range(3):
        along = end[axis] - start[axis]
        dot += (state[tool + axis] - start[axis]) * along
        length += along * along
    share = min(max(dot / max(length, F32(1e-12)), F32(0)), F32(1))
    total = F32(0)
    for axis in range(3):
        off = state[tool + axis] - start[axis] - share * (end[axis] - start[axis])
        total += off * off
    return total


@exact
def _median(values: Any) -> Any:
    """Of a few; sorts them."""
    n = len(values)
    for i in range(1, n):
        value, j = values[i], i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    return values[n // 2] if n % 2 else F32(0.5) * (values[n // 2 - 1] + values[n // 2])


@exact_for("void(f4[:,:], f4[:,::1], f4[:,::1], i8, i8, f4, f4, i8[::1], f8[::1], f4[:,::1])")
def _label(
    states: Any, phases: Any, stages: Any, tool: int, hand: int, low: Any, span: Any, kinds: Any, scales: Any,
    actions: Any,
) -> None:  # fmt: skip
    firsts, numbers = stages[:, _FIRST].astype(np.int64), stages[:, _PLAN].astype(np.int64)
    plans = numbers[-1]
    places, active, votes = np.empty((len(phases), 3), F32), np.empty(plans, np.int64), np.empty(plans, F32)
    for n in range(len(states)):
        state = states[n]
        shut = hand < 0 or (state[hand] - low) / span < F32(SHUT)
        for j in range(len(stages) - 1):
            if not _has_begun(state, stages[j]):
                continue
            first, p = firsts[j], numbers[j]
            there = held = True
            for k in range(first, firsts[j + 1]):
                _place(state, phases[k], places[k])
                if k == first:
                    active[p] = k
                    continue
                before = phases[k - 1]
                near = before[_TOLERANCE] * before[_TOLERANCE]
                if k > first + 1 and before[_GRIPPER] > 0 > phases[k - 2, _GRIPPER]:  # it grasps: done, and kept?
                    there = _far(state, tool, places[k - 1], places[k - 1]) <= near
                    held = shut and there
                kept = before[_GRIPPER] <= 0 or (held if phases[k, _GRIPPER] > 0 else there)
                if kept and _far(state, tool, places[k - 1], places[k]) <= near:
                    active[p] = k
        for i in range(len(kinds)):
            kind = kinds[i]
            for p in range(plans):
                value = F32(0)
                if kind == _HAND:
                    value = phases[active[p], _GRIPPER]
                elif kind >= 0:
                    value = F32((places[active[p], kind] - state[tool + kind]) / scales[i])
                votes[p] = min(max(value, F32(-1)), F32(1))
            actions[n, i] = _median(votes)
