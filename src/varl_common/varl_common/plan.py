"""A plan: advice that gives an action for any state. Phases as data, evaluated on a batch of states.

A phase sends the tool to a *place*, a point relative to a named thing of the scene. Which phase a state is in follows
from the state alone, so that any state of a replay can be labelled (a teleo-reactive program; Nilsson, JAIR 1994): the
plan is read from its end, and the *last* phase whose entry condition holds is the active one.

    phase 0      always holds;
    phase k > 0  holds where the tool is in the corridor that leads from place k-1 to place k: no farther from that
                 segment than the tolerance of phase k-1, at which phase k-1 has ended; and where phase k-1 turns the
                 tool, where it has turned (to within ``ALIGNED``).

Things move and their places with them, so a tool that loses the block it pushes drops out of the corridor and the plan
falls back to fetching it. Grasping adds one condition: after a phase that closes the gripper where the one before it
had it open, the later phases also ask that the grasped thing is still at the tool (within the tolerance of that phase)
and, where the state has a ``gripper`` element, that the gripper has closed far enough to hold (``SHUT``).

A task of several errands, such as opening a drawer and then putting something into it, is a plan of *stages*: a phase
with a *sub-goal*, a thing that is near another, ends one, and the phases after it are looked at only where that holds.
The active stage is the one that follows the last sub-goal that holds, and it is a plan of its own: its phase 0 holds
wherever the tool is. Where the sub-goal is lost the plan falls back to the stage that brings it about. Sub-goals before
the last need not hold any longer: a drawer that has been opened may be closed again.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from varl_common.env_description import MOTIONS, TOOL, TURNS, Scene
from varl_common.errors import VarlError, expect
from varl_common.poses import rotation_of, rotation_vector

GRIPPER = "gripper"
BASE = "base"
"""What a phase aligns the tool with where it is to stand as at home."""
_VELOCITY = ("tool_vx", "tool_vy", "tool_vz")
# How long an arm goes on as it was told before, s: with 0.07 the simulated one swings least about a place.
_COASTS = 0.07
# Angle from the orientation that a phase asks for below which the tool counts as turned so, rad.
ALIGNED = 0.06
# Opening of the gripper, as a share of its range in the state, below which it counts as closed on something.
SHUT = 0.85
# What every plan looks at; the bounds are for states with a gripper alone.
_TOLD = ("observation_names", "action_names", "action_scale", "entities", "entity_indices")
# What a plan may hold at most, m and rad: far beyond any room, and its squares are finite as float32.
FARTHEST = 1_000.0
# Plans that are one as :func:`as_one` has it: the median of two is their mean, wrong where one of them is.
_LEAST_ALIKE = 3


@dataclass(frozen=True)
class Phase:
    """Go to a place relative to a named thing, with the gripper so, until the place is reached.

    Attributes:
        target: a name of ``Scene.entities``.
        offset: (x, y, z) from the target to the place, metres, base frame.
        gripper: command in [-1, 1] during the phase: +1 closes, -1 opens.
        tolerance: metres; how near the tool must come, and how wide the corridor to the next place is.
        opposite: where not empty, the place is moved by ``standoff`` metres, in the horizontal plane, to the side of
            the target that faces away from this entity: where to stand to push the one to the other.
        standoff: metres.
        align: thing as which the tool is to be turned, of which the state tells the orientation, or ``base``: as at
            home; empty: however it is.
        turn: from that orientation, a rotation vector in the thing's own frame, rad.
        brings: thing whose being at ``to`` is the sub-goal with which this phase ends a stage; empty: it ends none.
        to: name of ``Scene.entities``.
        within: metres between the two at which the sub-goal holds.
    """

    target: str
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gripper: float = 0.0
    tolerance: float = 0.02
    opposite: str = ""
    standoff: float = 0.0
    align: str = ""
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    brings: str = ""
    to: str = ""
    within: float = 0.0

    @property
    def things(self) -> tuple[str, ...]:
        """What it names of the scene."""
        return tuple(filter(None, (self.target, self.opposite, self.brings, self.to)))


@dataclass(frozen=True)
class Plan:
    """Phases in order, and the advisor's words."""

    phases: tuple[Phase, ...]
    reason: str = ""

    @property
    def stages(self) -> list[tuple[Phase, ...]]:
        """The phases, stage by stage."""
        ends = [k + 1 for k, phase in enumerate(self.phases[:-1]) if phase.brings]
        return [self.phases[first:end] for first, end in pairwise([0, *ends, len(self.phases)])]

    def stages_done(self, states: np.ndarray, scene: Scene) -> np.ndarray:
        """(n,) how many of the stages lie behind each of ``states`` (n, obs_dim): those up to the last sub-goal that
        holds."""
        done = np.zeros(len(states), np.int64)
        for k, stage in enumerate(self.stages[:-1]):
            done[_brought(states, scene, stage[-1])] = k + 1
        return done

    def check(self, scene: Scene) -> None:
        """Raises VarlError where the scene is none, or the plan is empty, names what that lacks or a wrong number."""
        check_scene(scene)
        if not self.phases:
            raise VarlError("the plan has no phases; expected at least one")
        known = ", ".join(scene.entities)
        for phase in self.phases:
            for name in phase.things:
                if name not in scene.entities:
                    raise VarlError(f"the plan names {name!r}, which the scene lacks; known: {known}")
            for name in filter(None, (phase.align, phase.align and TOOL)):
                if name != BASE and not is_oriented(scene, name):
                    raise VarlError(f"the plan turns the tool by {name!r}, of which the state tells no orientation")
            single = [phase.gripper, phase.tolerance, phase.standoff, phase.within]
            numbers = np.array([*phase.offset, *phase.turn, *single], np.float64)  # None is nan
            three = len(phase.offset) == len(phase.turn) == 3
            if not three or not (np.abs(numbers) <= FARTHEST).all() or phase.tolerance <= 0:
                raise VarlError(
                    f"the plan holds {phase}; expected finite numbers of at most {FARTHEST:g}, a tolerance above 0 and "
                    "three numbers each as offset and turn"
                )
            given = (phase.brings != "", phase.to != "", phase.within > 0)
            if len(set(given)) > 1 or phase.within < 0 or (phase.brings and phase.brings == phase.to):
                said = f"brings {phase.brings!r} to {phase.to!r} within {phase.within:g} m"
                raise VarlError(
                    f"a sub-goal of the plan {said}; expected two things and metres above 0, or none of them"
                )

    def places(self, states: np.ndarray, scene: Scene) -> np.ndarray:
        """(phases, n, 3) metres: where each phase sends the tool, for ``states`` (n, obs_dim)."""
        places = []
        for phase in self.phases:
            target = _position(states, scene, phase.target)
            place = target + np.asarray(phase.offset, states.dtype)
            if phase.opposite:
                away = target - _position(states, scene, phase.opposite)
                away[:, 2] = 0.0
                away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
                place = place + phase.standoff * away
            places.append(place)
        return np.stack(places)

    def actions(self, states: np.ndarray, scene: Scene) -> np.ndarray:
        """(n, act_dim) in [-1, 1]: straight at the active phase's place, at full speed until within one step of it.

        A phase that wants the tool nearer than half a step brakes ahead, where the state tells the tool's velocity: an
        arm trails what it is told, and would swing about the place.
        """
        states = np.asarray(states, dtype=np.float32)
        places = self.places(states, scene)
        active = self.phase_of(states, scene, places)
        towards = places[active, np.arange(len(states))] - _position(states, scene, TOOL)
        if self.brakes_ahead(scene):
            fine = np.array([self._is_fine(phase, scene) for phase in self.phases])[active]
            first = list(scene.observation_names).index(_VELOCITY[0])
            towards = towards - _COASTS * fine[:, None] * states[:, first : first + 3]
        actions = np.zeros((len(states), len(scene.action_names)), np.float32)
        turns = self._turns_left(states, scene)[active, np.arange(len(states))] if self.turns(scene) else None
        for i, name in enumerate(scene.action_names):
            if name in MOTIONS:
                actions[:, i] = towards[:, MOTIONS.index(name)] / scene.action_scale[i]
            elif name in TURNS and turns is not None:
                # As the state does not tell how fast the tool turns, half of what is left keeps it from swinging.
                actions[:, i] = turns[:, TURNS[name]] / (2 * scene.action_scale[i])
            elif name == GRIPPER:
                actions[:, i] = np.array([phase.gripper for phase in self.phases], np.float32)[active]
        return np.clip(actions, -1.0, 1.0)

    def phase_of(self, states: np.ndarray, scene: Scene, places: np.ndarray) -> np.ndarray:
        """(n,) index of the phase that each of ``states`` (n, obs_dim) is in; ``places`` as of :meth:`places`."""
        tool = _position(states, scene, TOOL)
        active = np.zeros(len(states), np.int64)
        first, begun = 0, np.ones(len(states), bool)  # the stage's first phase, and where it has begun
        near = held = begun
        acted = [TURNS[name] for name in scene.action_names if name in TURNS]
        off = np.linalg.norm(self._turns_left(states, scene)[:, :, acted], axis=2) if self.turns(scene) else None
        for k in range(1, len(self.phases)):
            before = self.phases[k - 1]
            if before.brings:
                first, begun = k, _brought(states, scene, before)
                near = held = begun  # what an earlier stage grasped is none of this one's
                active[begun] = k
                continue
            if k > first + 1 and before.gripper > 0 > self.phases[k - 2].gripper:  # phase k-1 grasps: done, and kept?
                near = np.linalg.norm(tool - places[k - 1], axis=1) <= before.tolerance
                held = near & (_opening(states, scene) < SHUT)
            enters = _distance(tool, places[k - 1], places[k]) <= before.tolerance
            if first > 0:
                enters &= begun
            if before.gripper > 0:
                enters &= held if self.phases[k].gripper > 0 else near  # what lets go is opening
            if off is not None:
                enters &= off[k - 1] <= ALIGNED
            active[enters] = k
        return active

    def turns(self, scene: Scene) -> bool:
        """Whether it turns the tool in ``scene``."""
        return any(phase.align for phase in self.phases) and any(name in TURNS for name in scene.action_names)

    def brakes_ahead(self, scene: Scene) -> bool:
        """Whether a phase of it brakes ahead of its place in ``scene``."""
        told = set(_VELOCITY) <= set(scene.observation_names)
        return told and any(self._is_fine(phase, scene) for phase in self.phases)

    @staticmethod
    def _is_fine(phase: Phase, scene: Scene) -> bool:
        steps = [step for name, step in zip(scene.action_names, scene.action_scale, strict=True) if name in MOTIONS]
        return bool(steps) and phase.tolerance < min(steps) / 2

    def _turns_left(self, states: np.ndarray, scene: Scene) -> np.ndarray:
        """(phases, n, 3) rad: rotation vectors from how the tool stands to how each phase wants it, or 0."""
        stands = np.swapaxes(orientation(states, scene, TOOL), -1, -2)
        left = np.zeros((len(self.phases), len(states), 3))
        for phase, row in zip(self.phases, left, strict=True):
            if phase.align:
                row[:] = rotation_vector(orientation(states, scene, phase.align) @ rotation_of(phase.turn) @ stands)
        return left

    def as_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON: what is numpy's becomes Python's."""
        return asdict(self, dict_factory=lambda items: {name: np.asarray(value).tolist() for name, value in items})

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Plan:
        """Inverse of :meth:`as_dict`."""
        phases = tuple(
            Phase(**{**phase, "offset": tuple(phase["offset"]), "turn": tuple(phase.get("turn", (0.0, 0.0, 0.0)))})
            for phase in data["phases"]
        )
        return cls(phases, data["reason"])


def vote(actions: Sequence[np.ndarray]) -> np.ndarray:
    """Several plans' actions, each (n, act_dim), as one: the median of each axis, which outvotes one that is wrong."""
    return actions[0] if len(actions) == 1 else np.median(np.stack(actions), axis=0).astype(np.float32)


def as_one(plans: Sequence[Plan]) -> list[Plan]:
    """The plan that most of ``plans``, three or more, agree on but for numbers: it has their medians; else ``plans``.

    A plan of many phases is rarely right in all of its numbers. Where each is wrong somewhere, a vote of their actions
    is wrong, too, as each is in a phase of its own; but what is off in one is right in the other two.
    """
    forms = [tuple(_form(phase) for phase in plan.phases) for plan in plans]
    most = max(forms, key=forms.count)
    alike = [plan for plan, form in zip(plans, forms, strict=True) if form == most]
    acts_in_its_own_way = not most
    if acts_in_its_own_way or len(alike) < _LEAST_ALIKE or 2 * len(alike) <= len(plans):
        return list(plans)
    return [replace(alike[0], phases=tuple(map(_middle, *(plan.phases for plan in alike))))]


def _form(phase: Phase) -> Hashable:
    """What of a phase is no amount."""
    return phase.target, phase.gripper, phase.opposite, phase.align, phase.brings, phase.to


def _middle(*phases: Phase) -> Phase:
    numbers = np.median([(*p.offset, *p.turn, p.tolerance, p.standoff, p.within) for p in phases], axis=0).tolist()
    tolerance, standoff, within = numbers[6:]
    return replace(
        phases[0],
        offset=tuple(numbers[:3]),
        turn=tuple(numbers[3:6]),
        tolerance=tolerance,
        standoff=standoff,
        within=within,
    )


def check_scene(scene: Any) -> None:
    """That plans can be about ``scene``: it tells what every plan looks at, and the tool is in it. Raises VarlError."""
    if missing := [name for name in _TOLD if not hasattr(scene, name)]:
        raise VarlError(
            f"the environment's description, of type {type(scene).__name__}, lacks {', '.join(missing)}; "
            "expected a varl_common.env_description.EnvDescription"
        )
    for names, values in (("action_names", "action_scale"), ("entities", "entity_indices")):
        given, expected = len(getattr(scene, values)), len(getattr(scene, names))
        expect(
            given == expected, f"description.{values}", getattr(scene, values), f"{expected}, one of each of {names}"
        )
    expect(TOOL in scene.entities, "description.entities", list(scene.entities), f"{TOOL!r} among them")


def _position(states: np.ndarray, scene: Scene, entity: str) -> np.ndarray:
    first = scene.entity_indices[list(scene.entities).index(entity)]
    return states[:, first : first + 3].copy()


def _brought(states: np.ndarray, scene: Scene, phase: Phase) -> np.ndarray:
    """(n,) whether the sub-goal of ``phase`` holds."""
    apart = _position(states, scene, phase.brings) - _position(states, scene, phase.to)
    return np.linalg.norm(apart, axis=1) <= phase.within


def is_oriented(scene: Scene, name: str) -> bool:
    """Whether the state tells the orientation of ``name``: by its yaw, or whole."""
    return any(element in scene.observation_names for element in orientation_names(name))


def orientation_names(name: str) -> list[str]:
    """What the elements of a state are called that tell the orientation of ``name``: by its yaw, and the whole."""
    return [f"{name}_cos", f"{name}_sin", *(f"{name}_{axis}{part}" for axis in "xy" for part in "xyz")]


def orientation(states: np.ndarray, scene: Scene, name: str) -> np.ndarray:
    """(n, 3, 3) rotation, in ``states`` (n, obs_dim), of a thing, or of the tool since home; of ``base`` none."""
    names = list(scene.observation_names)
    whole = np.broadcast_to(np.eye(3), (len(states), 3, 3)).copy()
    if name == BASE:
        return whole
    if f"{name}_cos" in names:
        cos, sin = states[:, names.index(f"{name}_cos")], states[:, names.index(f"{name}_sin")]
        whole[:, :2, :2] = np.stack([cos, -sin, sin, cos], 1).reshape(-1, 2, 2)
        return whole
    first = names.index(f"{name}_xx")
    x, y = states[:, first : first + 3].astype(np.float64), states[:, first + 3 : first + 6].astype(np.float64)
    return np.stack([x, y, np.cross(x, y)], -1)


def _opening(states: np.ndarray, scene: Scene) -> np.ndarray:
    """(n,) opening of the gripper, 0 shut to 1 wide; all 0 where the state does not tell."""
    if GRIPPER not in scene.observation_names:
        return np.zeros(len(states), np.float32)
    i = list(scene.observation_names).index(GRIPPER)
    low, high = scene.observation_low[i], scene.observation_high[i]
    return (states[:, i] - low) / max(high - low, 1e-9)


def _distance(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(n,) distance of each point to the segment from its start to its end, all (n, 3)."""
    along = end - start
    share = ((points - start) * along).sum(1) / np.maximum((along * along).sum(1), 1e-12)
    return np.linalg.norm(points - start - np.clip(share, 0.0, 1.0)[:, None] * along, axis=1)
