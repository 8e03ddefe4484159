"""What a model may answer: one closed pydantic model per strategy, whose JSON schema also constrains the model."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model
from varl_common.env_description import TURNS, EnvDescription
from varl_common.plan import BASE, is_oriented

from varl_vlm_advisor.question.action_words import words_of
from varl_vlm_advisor.types import GRIPPER, TOOL

REASON_ASKED = 240
"""Characters of reason that the schema asks for; longer ones are kept up to REASON_KEPT."""
REASON_KEPT = 2000
MAX_PHASES, MAX_STAGED_PHASES = 8, 16
"""Of a plan that solves a task in one go, and in stages: to lay a block on a tray and another on that takes 13."""
MAX_OFFSET = 0.5
"""Metres: a phase further than this from its target is a slip of the model."""
MAX_WAYPOINTS = 12
MAX_REACH = 5.0
"""Metres: no arm reaches further from its base."""
MIN_TOLERANCE, MAX_TOLERANCE = 0.002, 0.1

POINT_PHASES = ("above", "at", "grasp", "carry", "release", "lift")
"""What to do about the point: hover above it, go to it, close on it, bring it what is held, let go there, or rise."""

Reason = Annotated[str, Field(max_length=REASON_KEPT, json_schema_extra={"maxLength": REASON_ASKED})]


class Answer(BaseModel):
    """What every strategy's answer has. The reason comes first: a model that reasons before it acts acts better."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    id: int
    reason: Reason
    can_tell: bool


class VerdictAnswer(Answer):
    """Whether the task is accomplished."""

    accomplished: bool


class PhaseAnswer(BaseModel):
    """One phase of a plan, as answered."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    target: str
    x: float = Field(ge=-MAX_OFFSET, le=MAX_OFFSET)
    y: float = Field(ge=-MAX_OFFSET, le=MAX_OFFSET)
    z: float = Field(ge=-MAX_OFFSET, le=MAX_OFFSET)
    opposite: str
    standoff: float = Field(ge=-MAX_OFFSET, le=MAX_OFFSET)
    gripper: Literal["open", "hold", "close"]
    tolerance: float = Field(ge=MIN_TOLERANCE, le=MAX_TOLERANCE)


class WaypointAnswer(BaseModel):
    """One waypoint of a trajectory, as answered."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    x: float = Field(ge=-MAX_REACH, le=MAX_REACH)
    y: float = Field(ge=-MAX_REACH, le=MAX_REACH)
    z: float = Field(ge=-MAX_REACH, le=MAX_REACH)
    gripper: Literal["open", "hold", "close"]


class TrajectoryAnswer(Answer):
    """Where the tool is to be from this moment on."""

    waypoints: Annotated[list[WaypointAnswer], Field(min_length=1, max_length=MAX_WAYPOINTS)]


class TurningPhaseAnswer(PhaseAnswer):
    """One phase of a plan where the tool turns."""

    align: str
    yaw: float = Field(ge=-180, le=180)
    """Degrees."""


def answer_model(strategy: str, env: EnvDescription, coordinate_limit: float) -> type[Answer]:
    """The model of an answer to ``strategy`` in ``env``; ``coordinate_limit`` bounds the coordinates of a point."""
    if strategy == "direction":
        return _direction(tuple(env.action_names))
    if strategy == "point":
        return _point(coordinate_limit)
    if strategy == "trajectory":
        return TrajectoryAnswer
    return _plan(plan_targets(env), GRIPPER in env.action_names, align_targets(env), has_stages(env))


@lru_cache(maxsize=32)
def place_model(coordinate_limit: float) -> type[Answer]:
    """The model of an answer to where a picture shows a thing."""
    fields: dict[str, Any] = {"visible": (bool, ...), "point": (_coordinates(coordinate_limit), ...)}
    return create_model("PlaceAnswer", __base__=Answer, **fields)


def plan_targets(env: EnvDescription) -> tuple[str, ...]:
    """Entities that a phase may aim at: all but the tool, which would run ahead of itself."""
    return tuple(name for name in env.entities if name != TOOL)


def align_targets(env: EnvDescription) -> tuple[str, ...]:
    """What a phase may turn the tool by: the base, and what the state tells the orientation of; none where no axis
    turns the tool."""
    if not any(name in TURNS for name in env.action_names):
        return ()
    return (BASE, *(name for name in plan_targets(env) if is_oriented(env, name)))


def has_stages(env: EnvDescription) -> bool:
    """Whether a plan may have sub-goals: in a scene of more than two things.

    Where there are two, one brought to the other is the end of the task, and nothing is left for a further stage. So
    the small scenes' question stays as short as it was, for small models, and as the one in the box was trained on it.
    """
    return len(plan_targets(env)) > 2


def max_phases(env: EnvDescription) -> int:
    """How many phases a plan may have."""
    return MAX_STAGED_PHASES if has_stages(env) else MAX_PHASES


def json_schema(model: type[Answer], question_id: int) -> dict[str, Any]:
    """The JSON schema of ``model`` for the question with ``question_id``, closed and with every field required."""
    schema = _schema(model)
    only = {"const": question_id, "type": "integer"}
    return {**schema, "properties": {**schema["properties"], "id": only}}


@lru_cache(maxsize=32)
def _schema(model: type[Answer]) -> dict[str, Any]:
    return model.model_json_schema()


@lru_cache(maxsize=32)
def _direction(names: tuple[str, ...]) -> type[Answer]:
    fields: dict[str, Any] = {name: (Literal[tuple(words_of(name))], ...) for name in names}
    return create_model("DirectionAnswer", __base__=Answer, **fields)


@lru_cache(maxsize=32)
def _point(limit: float) -> type[Answer]:
    fields: dict[str, Any] = {"phase": (Literal[POINT_PHASES], ...), "point": (_coordinates(limit), ...)}
    return create_model("PointAnswer", __base__=Answer, **fields)


def _coordinates(limit: float) -> Any:
    return Annotated[list[Annotated[float, Field(ge=0, le=limit)]], Field(min_length=2, max_length=2)]


@lru_cache(maxsize=32)
def _plan(targets: tuple[str, ...], has_gripper: bool, aligned: tuple[str, ...], staged: bool) -> type[Answer]:
    thing: Any = Literal["", *targets]
    fields: dict[str, Any] = {"target": (Literal[targets], ...), "opposite": (thing, ...)}
    if not has_gripper:
        fields["gripper"] = (Literal["hold"], ...)
    if aligned:
        fields["align"] = (Literal["", *aligned], ...)
    if staged:
        within = Annotated[float, Field(ge=0.0, le=MAX_OFFSET)]
        fields |= {"brings": (thing, ...), "to": (thing, ...), "within": (within, ...)}
    phase = create_model("Phase", __base__=TurningPhaseAnswer if aligned else PhaseAnswer, **fields)
    longest = MAX_STAGED_PHASES if staged else MAX_PHASES
    phases = Annotated[list[phase], Field(min_length=1, max_length=longest)]  # type: ignore[valid-type]
    return create_model("PlanAnswer", __base__=Answer, phases=(phases, ...))
