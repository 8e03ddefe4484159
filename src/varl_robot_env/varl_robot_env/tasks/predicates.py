"""When a task is done: a rule that compares the things, or rules put together by ``all``, ``any`` and ``not``.

In a file a rule is a mapping whose first word says what is looked at: ``{distance: [block, target], at_most: 0.03}``.
Each takes ``held: k``: it counts once it has held in k control periods in a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
from pydantic import Field, PlainValidator, model_validator
from scipy.spatial.transform import Rotation
from varl_common.errors import VarlError, did_you_mean

from varl_robot_env.config.robot import Vector3
from varl_robot_env.tasks.rule import Holds, Rule
from varl_robot_env.tasks.situation import Situation
from varl_robot_env.tasks.verdicts import Classifier, Person, Vlm


def parse(value: Any) -> Rule:
    """The rule that a file's mapping describes.

    Raises:
        ValueError: it describes none; the message names the nearest word.
    """
    if isinstance(value, Rule):
        return value
    words = list(value) if isinstance(value, dict) else []
    known = [word for word in words if word in KINDS]
    if not words:
        raise ValueError("expected a rule such as {distance: [tool, target], at_most: 0.02}")
    if len(known) != 1:
        if known:
            raise ValueError("a rule says one thing; put several under all: [..]")
        raise ValueError(f"unknown rule {words[0]!r}; {did_you_mean(str(words[0]), KINDS)}")
    try:
        return KINDS[known[0]].from_dict(value, known[0])
    except VarlError as error:
        raise ValueError(str(error)) from None


_SLACK = 0.5  # nearly: bounds wider by half

Predicate: TypeAlias = Annotated[Rule, PlainValidator(parse)]


class Measure(Rule):
    """A number that must be within bounds, the bounds included."""

    is_magnitude: ClassVar[bool] = False
    at_most: float | None = None
    at_least: float | None = None

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if self.at_most is None and self.at_least is None:
            raise ValueError("say how much: at_most or at_least")
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            raise ValueError("at_least is above at_most, so that it never holds; swap them")
        for name, bound in (("at_most", self.at_most), ("at_least", self.at_least)):
            if self.is_magnitude and bound is not None and (bound < 0 or (name, bound) == ("at_least", 0)):
                raise ValueError(f"{name} of {bound:g} says nothing: what is measured is never below 0")
        pair = getattr(self, "distance", None) or getattr(self, "turn", None)
        if pair and pair[0] == pair[1]:
            raise ValueError(f"it compares {pair[0]} with itself; name two things")
        return self

    def measure(self, situation: Situation) -> float:
        """The number."""
        raise NotImplementedError

    def holds(self, situation: Situation, holds: Holds) -> bool:
        value = self.measure(situation)
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    def nearly(self) -> Self:
        at_most, at_least = (
            None if bound is None else bound + side * _SLACK * abs(bound)
            for side, bound in ((1, self.at_most), (-1, self.at_least))
        )
        return self.model_copy(update={"at_most": at_most, "at_least": at_least})


class Distance(Measure):
    """Between two things, m."""

    is_magnitude: ClassVar[bool] = True
    distance: tuple[str, str]

    @property
    def names(self) -> Iterable[str]:
        return self.distance

    def measure(self, situation: Situation) -> float:
        return situation.distance(*self.distance)


class Height(Measure):
    """Of a thing's centre above the base frame's origin, m."""

    height: str

    @property
    def names(self) -> Iterable[str]:
        return (self.height,)

    def measure(self, situation: Situation) -> float:
        return float(situation.position(self.height)[2])


class Opening(Measure):
    """How far a thing has come from where it started, along a direction of the base frame, m: a drawer, a button.

    Of the ``gripper``: 0 closed to 1 open.
    """

    opening: str
    along: Vector3 | None = None

    @model_validator(mode="after")
    def _has_a_direction(self) -> Self:
        if (self.opening == "gripper") != (self.along is None):
            raise ValueError("the opening of a thing is along: [x, y, z], that of the gripper is not")
        if self.along is not None and not any(self.along):
            raise ValueError("along has no direction; give one number that is not 0")
        return self

    @property
    def names(self) -> Iterable[str]:
        return () if self.opening == "gripper" else (self.opening,)

    def measure(self, situation: Situation) -> float:
        if self.along is None:
            return _known(situation.opening, "the gripper's opening")
        way = situation.position(self.opening) - situation.begin[self.opening][:3]
        along = np.asarray(self.along)
        return float(way @ along / np.linalg.norm(along))


class Turn(Measure):
    """Angle between the orientations of two things, rad."""

    is_magnitude: ClassVar[bool] = True
    turn: tuple[str, str]

    @property
    def names(self) -> Iterable[str]:
        return self.turn

    def measure(self, situation: Situation) -> float:
        one, other = (Rotation.from_quat(situation.poses[name][3:]) for name in self.turn)
        return float((one.inv() * other).magnitude())


class Force(Measure):
    """Norm of the force on the tool, N. The robot's file names what measures it."""

    is_magnitude: ClassVar[bool] = True
    force: Literal["tool"]

    def measure(self, situation: Situation) -> float:
        return float(np.linalg.norm(_known(situation.force, "the force on the tool")))


class Inside(Rule):
    """A thing's centre is inside of a box, m, which another thing may carry."""

    inside: str
    low: Vector3
    high: Vector3
    of: str = ""
    """The thing whose frame the box is in; empty: the base frame."""

    @property
    def names(self) -> Iterable[str]:
        return (self.inside, self.of) if self.of else (self.inside,)

    @model_validator(mode="after")
    def _is_a_box(self) -> Self:
        if any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError("low must not be above high; swap the corners")
        return self

    def holds(self, situation: Situation, holds: Holds) -> bool:
        point = situation.position(self.inside)
        if self.of:
            point = Rotation.from_quat(situation.poses[self.of][3:]).inv().apply(point - situation.position(self.of))
        return bool(((point >= self.low) & (point <= self.high)).all())

    def nearly(self) -> Self:
        low, high = np.array(self.low), np.array(self.high)
        wider = _SLACK * (high - low) / 2
        return self.model_copy(update={"low": tuple(low - wider), "high": tuple(high + wider)})


class AllOf(Rule):
    """Every one of the rules."""

    all: Annotated[tuple[Predicate, ...], Field(min_length=1)]

    @property
    def rules(self) -> Sequence[Rule]:
        return self.all

    def nearly(self) -> Self:
        return self.model_copy(update={"all": tuple(rule.nearly() for rule in self.all)})

    def holds(self, situation: Situation, holds: Holds) -> bool:
        said = [holds(rule) for rule in self.all]  # none is left out: each counts its periods
        return all(said)


class AnyOf(Rule):
    """At least one of the rules."""

    any: Annotated[tuple[Predicate, ...], Field(min_length=1)]

    @property
    def rules(self) -> Sequence[Rule]:
        return self.any

    def nearly(self) -> Self:
        return self.model_copy(update={"any": tuple(rule.nearly() for rule in self.any)})

    def holds(self, situation: Situation, holds: Holds) -> bool:
        said = [holds(rule) for rule in self.any]
        return any(said)


class Not(Rule):
    """The rule does not hold."""

    not_: Predicate = Field(alias="not")

    @model_validator(mode="after")
    def _is_told(self) -> Self:
        if any(isinstance(rule, Vlm) for rule in self.not_.all_rules()):
            raise ValueError(
                "an advisor that does not answer would be a success; ask it for what is to be, without not"
            )
        return self

    @property
    def rules(self) -> Sequence[Rule]:
        return (self.not_,)

    def holds(self, situation: Situation, holds: Holds) -> bool:
        return not holds(self.not_)


KINDS: dict[str, type[Rule]] = {
    "distance": Distance,
    "height": Height,
    "inside": Inside,
    "opening": Opening,
    "turn": Turn,
    "force": Force,
    "person": Person,
    "classifier": Classifier,
    "vlm": Vlm,
    "all": AllOf,
    "any": AnyOf,
    "not": Not,
}


def holds_now(rule: Rule, situation: Situation) -> bool:
    """Whether ``rule`` holds at this instant, for however long."""
    return rule.holds(situation, lambda part: holds_now(part, situation))


class Judge:
    """Says in each period of an episode whether a rule holds, and counts for how long."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._counts: Counter[int] = Counter()

    def __call__(self, situation: Situation) -> bool:
        """Whether it holds in the next period, which brought about ``situation``."""

        def holds(rule: Rule) -> bool:
            now = rule.holds(situation, holds)
            self._counts[id(rule)] = self._counts[id(rule)] + 1 if now else 0
            return self._counts[id(rule)] >= rule.held

        return holds(self._rule)


def _known(value: Any, what: str) -> Any:
    if value is None:
        raise VarlError(f"the task's success asks for {what}, which this robot does not tell; name it in its file")
    return value
