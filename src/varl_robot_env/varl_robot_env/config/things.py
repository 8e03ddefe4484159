"""The things of a task: what each is in a simulator, how an arm knows where it is, and where it starts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, model_validator
from varl_common.config import Config

from varl_robot_env.config.robot import Vector3

TOOL = "tool"
"""What a task calls the robot's tool."""
Source = Literal["fixed", "link", "marker", "color", "vlm", "simulator"]
COLORS = {
    "red": (0.85, 0.20, 0.16),
    "green": (0.15, 0.70, 0.25),
    "blue": (0.16, 0.35, 0.80),
    "yellow": (0.93, 0.78, 0.15),
    "white": (0.92, 0.92, 0.92),
    "gray": (0.45, 0.47, 0.50),
    "wood": (0.62, 0.47, 0.32),
}
_SIZES = {"box": 3, "cylinder": 2, "cone": 2, "sphere": 1}  # numbers that say how large a shape is
_MARK_OPACITY = 0.75


class ObjectConfig(Config):
    """What a simulator puts there for a thing."""

    shape: Literal["box", "cylinder", "cone", "sphere"] | None = None
    size: tuple[PositiveFloat, ...] = ()
    """m: edges of a box along x, y and z; diameter and height of a cylinder or a cone, which stand; diameter of a
    sphere."""
    mass: PositiveFloat | None = None
    """kg, of what can be moved; None: it stays where it starts."""
    friction: PositiveFloat | None = None
    """Coulomb friction; None: the simulator's."""
    color: Literal["red", "green", "blue", "yellow", "white", "gray", "wood"] | Vector3 = "gray"
    """A name, or red, green and blue, each 0 to 1."""
    mark: bool = False
    """It is drawn, and nothing touches it."""
    mesh: str = ""
    """In place of ``shape``: a file (.stl, .obj) in m, relative to the task's; what touches is its convex hull."""
    mjcf: str = ""
    """In place of ``shape``: a MuJoCo model's file, relative to the task's, that may have parts which move."""
    joints: dict[str, float] = {}  # noqa: RUF012  (pydantic copies it)
    """Where joints of that model start, by name, m or rad; those not named are as its file has them."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if sum(map(bool, (self.mjcf, self.mesh, self.shape))) != 1:
            raise ValueError("give either shape and size, or mesh: a file, or mjcf: a file")
        if self.mesh and self.size:
            raise ValueError("a mesh is as large as its file says; leave out size")
        if self.mjcf and not self.model_fields_set <= {"mjcf", "joints"}:
            raise ValueError("an mjcf file says itself what is in it; leave out what stands beside it")
        if self.joints and not self.mjcf:
            raise ValueError("joints are those of an mjcf file; leave them out")
        if self.shape and len(self.size) != (count := _SIZES[self.shape]):
            raise ValueError(f"a {self.shape}'s size is {count} numbers, not {len(self.size)}")
        if self.mark and self.mass:
            raise ValueError("a mark has no mass; take one of the two out")
        return self

    @property
    def half(self) -> Vector3:
        """Half of its extent along x, y and z, m."""
        if self.shape is None:
            return 0.0, 0.0, 0.0
        x, y, z = {"box": (0, 1, 2), "cylinder": (0, 0, 1), "cone": (0, 0, 1), "sphere": (0, 0, 0)}[self.shape]
        return self.size[x] / 2, self.size[y] / 2, self.size[z] / 2

    @property
    def rgba(self) -> tuple[float, float, float, float]:
        """Its color, 0 to 1."""
        color = COLORS[self.color] if isinstance(self.color, str) else self.color
        return (*color, _MARK_OPACITY if self.mark else 1.0)


class StartConfig(Config):
    """Where a thing starts: drawn anew for each episode, evenly between two corners."""

    low: tuple[float, ...] = ()
    """Corner of the box or, of two numbers, of the area of the table, in which the thing's centre starts, m."""
    high: tuple[float, ...] = ()
    at: Vector3 | None = None
    """In place of ``low`` and ``high``: one place, m."""
    height: float | None = None
    """Of the centre where the corners have two numbers, m; None: its object rests on the table."""
    yaw: tuple[float, float] = (0.0, 0.0)
    """Range of its turn about the vertical, rad."""
    lean: Annotated[float, Field(ge=0, lt=3.14)] = 0.0
    """Greatest angle that it leans from upright, rad, whichever way."""
    relative_to: str = ""
    """A thing named before, or ``tool``, from which the corners are measured; empty: the base frame."""
    away_from: dict[str, PositiveFloat] = {}  # noqa: RUF012  (pydantic copies it)
    """Least distance to things named before, or to ``tool``, m."""

    @model_validator(mode="after")
    def _is_a_box(self) -> Self:
        if (self.at is None) == (not self.low):
            raise ValueError("give either at (one place) or low and high (two corners)")
        if self.at is None and (len(self.low) != len(self.high) or len(self.low) not in (2, 3)):
            raise ValueError("low and high are corners of two (x, y) or three numbers (x, y, z); give both alike")
        if any(low > high for low, high in zip((*self.low, self.yaw[0]), (*self.high, self.yaw[1]), strict=True)):
            raise ValueError("low must not be above high; swap the corners")
        if self.height is not None and len(self.low) != 2:
            raise ValueError("height goes with corners of two numbers; leave it out")
        return self


class ThingConfig(Config):
    """A thing that the task is about."""

    source: Source = Field(alias="from")
    """How an arm knows where it is: ``fixed`` (a place, drawn at the start and kept), ``link`` (of the robot), or what
    perception publishes on the topic entities: by a printed ``marker``, a ``color``, or pointed at by a ``vlm``. In a
    simulator the simulator tells; ``simulator`` is for things that are nowhere else."""
    link: str = ""
    """The robot's link, where it comes ``from: link``; ``tool``: what the gripper holds, whatever the tool's frame is
    called. Its frame is then that of the base as the arm stands at home."""
    offset: Vector3 = (0.0, 0.0, 0.0)
    """In that link's frame, m."""
    part: str = ""
    """``<thing>/<body>``: a simulator has it as that body of the other thing's ``mjcf``, which carries it along."""
    object: ObjectConfig | None = None
    """What a simulator puts there; None: nothing."""
    start: StartConfig | None = None
    """Where a simulator puts it (a part is there with the thing that carries it), and what is fixed on an arm, too. The
    rest is a person's to place."""
    still: bool = False
    """Nothing moves it in an episode: it is where it was sensed as the episode began, also while it is hidden."""
    looks: str = ""
    """What a simulator's picture shows there, in words: ``the red block``."""

    @model_validator(mode="after")
    def _comes_from_somewhere(self) -> Self:
        if (self.source == "link") != bool(self.link):
            raise ValueError("a thing that comes from: link names its link, and no other does")
        if self.source == "link" and self.start:
            raise ValueError("a link of the robot is where the robot has it; leave out start")
        if self.source == "link" and self.object and (self.object.mjcf or self.object.mass or self.object.mark):
            raise ValueError("what a link carries is a shape that is fixed to it; leave out mjcf, mass and mark")
        if self.start is None and self.source != "link" and (self.source == "fixed" or self.object):
            raise ValueError("say where it starts: start: {at: [x, y, z]} or {low: .., high: ..}")
        if self.object and self.source == "fixed" and self.object.mass:
            raise ValueError("what is fixed is not moved; leave out its object's mass")
        if self.object and self.object.mesh and self.start and len(self.start.low) == 2 and self.start.height is None:
            raise ValueError("how high a mesh's origin lies is not known; say so in start: height")
        if self.still and not self.sensed:
            raise ValueError("what is fixed or a link is not sensed; leave out still")
        if self.still and self.object and self.object.mass:
            raise ValueError("what is still is not moved; leave out its object's mass")
        if self.part and (self.object or not self.start or not self.start.relative_to):
            raise ValueError("a part has no object of its own, and starts relative_to the thing that carries it")
        return self

    @property
    def sensed(self) -> bool:
        """Whether it is for perception, or the simulator, to say where it is."""
        return self.source not in ("fixed", "link")

    def corners(self) -> tuple[Vector3, Vector3] | None:
        """The corners of its start, m, where ``relative_to`` says; None where it has none."""
        start = self.start
        if start is None:
            return None
        if start.at is not None:
            return start.at, start.at
        z = self.rest_height
        return _three(start.low, z), _three(start.high, z)

    @property
    def rest_height(self) -> float:
        """Height of its centre where it lies on the table, m."""
        if self.start and self.start.height is not None:
            return self.start.height
        return self.object.half[2] if self.object else 0.0


Things = Annotated[dict[str, ThingConfig], Field(min_length=1)]


def _three(corner: tuple[float, ...], z: float) -> Vector3:
    return corner[0], corner[1], corner[2] if len(corner) == 3 else z
