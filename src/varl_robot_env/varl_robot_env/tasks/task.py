"""Tasks: what the arm is to do, where things start, and when it is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, PositiveInt, model_validator
from scipy.spatial.transform import Rotation
from varl_common.config import Config
from varl_common.errors import VarlError, did_you_mean
from varl_common.yaml_file import load_yaml

from varl_robot_env.config.paths import resolve
from varl_robot_env.config.reset import ResetConfig
from varl_robot_env.config.robot import ViewConfig
from varl_robot_env.config.things import ThingConfig, Things
from varl_robot_env.tasks.observation import check_observed
from varl_robot_env.tasks.predicates import Force, Judge, Predicate
from varl_robot_env.tasks.situation import TOOL, Situation
from varl_robot_env.tasks.verdicts import Classifier, Person, Vlm
from varl_robot_env.types import Array, Pose

Axis = Literal["dx", "dy", "dz", "yaw", "rx", "ry", "rz", "gripper"]
_MOVES: tuple[Axis, ...] = ("dx", "dy", "dz")
_TURNS: tuple[tuple[Axis, ...], ...] = ((), ("yaw",), ("rx", "ry", "rz"))
_ACTS = [(*_MOVES, *turns, *hand) for turns in _TURNS for hand in ((), ("gripper",))]
# Tries to draw a place that is as far from others as it must be; more than that and the ranges leave no room.
_TRIES = 1000
_ENTRY_POINTS = "varl.tasks"


class TaskConfig(Config):
    """A task's file: config/tasks/reach.yaml. Metres, base frame."""

    task: str
    """Its name."""
    instruction: str
    """The task in a sentence, for people and a vision-language model; things in braces are called by their looks."""
    max_episode_steps: PositiveInt
    things: Things
    """What the task is about, in the order in which their places are drawn."""
    observe: Annotated[tuple[str, ...], Field(min_length=1)]
    """What the state holds, in its order: ``tool``, ``velocity``, ``gripper``, ``force``, things, and of the tool and
    of things ``<name>.yaw`` or ``<name>.rotation``."""
    act: Annotated[tuple[Axis, ...], Field(min_length=1)]
    """What an action moves, in its order."""
    success: Predicate
    """When it is done."""
    dense: tuple[tuple[str, str], ...] = ()
    """The dense reward, for comparison only: it is the less, the farther these pairs are from each other."""
    reset: ResetConfig = ResetConfig()
    """How it begins again, on an arm."""
    opens_gripper: bool = False
    """Where the task grasps: at a reset a real gripper opens, whatever it may hold; false: a person opens it."""
    python: str = ""
    """What a file cannot say: the entry point of ``varl.tasks`` that is the task's class; empty: nothing."""
    settings: dict[str, Any] = {}  # noqa: RUF012  (pydantic copies it)
    """For that class."""

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        if not self.task.strip() or not self.instruction.strip():
            raise ValueError("task and instruction are empty; a model and a person are told what to do by them")
        longest = max(rule.held for rule in self.success.all_rules())
        if longest > self.max_episode_steps:
            raise ValueError(
                f"success must hold for {longest} periods, more than the {self.max_episode_steps} of an episode"
            )
        return self

    @model_validator(mode="after")
    def _speaks_of_what_there_is(self) -> Self:
        for name in self.things:
            if not name.isidentifier() or name in (TOOL, "velocity", "gripper", "force", "base"):
                raise ValueError(f"a thing cannot be called {name!r}; give it a name of letters and underscores")
        check_observed(self.observe, self.things)
        _known("success", self.named_by_success, [TOOL, *self.things])
        _known("dense", {name for pair in self.dense for name in pair}, [TOOL, *self.things])
        before = [TOOL]
        for name, thing in self.things.items():
            if thing.start:
                relative = [thing.start.relative_to] if thing.start.relative_to else []
                _known(f"things.{name}.start", [*relative, *thing.start.away_from], before)
            if thing.part:
                carriers = [
                    other for other in before if other != TOOL and (made := self.things[other].object) and made.mjcf
                ]
                _known(f"things.{name}.part", [thing.part.partition("/")[0]], carriers)
            before.append(name)
        if self.act not in _ACTS:
            raise ValueError(
                "act is dx, dy, dz, then yaw or rx, ry, rz where the tool turns, then gripper if it grasps"
            )
        _known("reset.path", [place.target for place in self.reset.path], self.observe)
        for field, values in (("observe", self.observe), ("act", self.act)):
            if len(set(values)) < len(values):
                raise ValueError(f"{field} names something twice; name each once")
        return self

    @model_validator(mode="after")
    def _can_be_told(self) -> Self:
        try:
            self.instruction.format(**self.things)
        except (KeyError, IndexError, ValueError, AttributeError):
            names = " and ".join(f"{{{name}}}" for name in self.things)
            raise ValueError(f"instruction: expected a sentence whose only names in braces are {names}") from None
        return self

    @property
    def named_by_success(self) -> set[str]:
        """The things that success looks at."""
        return {name for rule in self.success.all_rules() for name in rule.names}

    @property
    def used(self) -> set[str]:
        """The things without whose poses there is neither observation, reward nor start."""
        drawn = {name for thing in self.things.values() if not thing.sensed for name in _named_by_start(thing)}
        return self.concerned | (drawn & set(self.things))

    @property
    def concerned(self) -> set[str]:
        """The things that the arm has to do with: those observed, or looked at by success or reward."""
        observed = {item.partition(".")[0] for item in self.observe}
        dense = {name for pair in self.dense for name in pair}
        return (observed | dense | self.named_by_success) & set(self.things)


class Task:
    """A task as its file describes it. A class of the entry points ``varl.tasks`` overrides what a file cannot say.

    Attributes:
        config: its file.
        grasps: the action moves the gripper, and episodes start with the gripper open.
        seen: the things that perception must tell of.
        still: those of them that nothing moves in an episode.
    """

    def __init__(self, config: TaskConfig) -> None:
        self.config = config
        self.grasps = "gripper" in config.act
        self.seen = [name for name in config.things if name in config.used and config.things[name].sensed]
        self.still = [name for name in self.seen if config.things[name].still]
        self._judge = Judge(config.success)

    @property
    def name(self) -> str:
        return self.config.task

    @property
    def entities(self) -> list[str]:
        """What has a position in the observation, in its order."""
        return [item for item in self.config.observe if item == TOOL or item in self.config.things]

    @property
    def turns(self) -> tuple[Axis, ...]:
        """The axes about which the action turns the tool."""
        return tuple(axis for axis in self.config.act if axis not in (*_MOVES, "gripper"))

    @property
    def feels(self) -> bool:
        """Whether it asks for the force on the tool."""
        rules = self.config.success.all_rules()
        return "force" in self.config.observe or any(isinstance(rule, Force) for rule in rules)

    @property
    def looks(self) -> bool:
        """Whether pictures decide its success."""
        return any(isinstance(rule, Classifier) for rule in self.config.success.all_rules())

    def check_looks(self, views: Mapping[str, ViewConfig]) -> None:
        """Whether the classifiers that decide success were taught by such views.

        Raises:
            VarlError: there is none, or it looks at other pictures.
        """
        for rule in self.config.success.all_rules():
            if isinstance(rule, Classifier):
                rule.check(views)

    @property
    def goal(self) -> str:
        """The place that the task is about: the last one of its observation that is fixed; empty: there is none."""
        places = [name for name in self.entities if name != TOOL and not self.config.things[name].sensed]
        return places[-1] if places else ""

    @property
    def person_judges(self) -> bool:
        """Whether it is for a person to say that the task is solved."""
        return any(isinstance(rule, Person) for rule in self.config.success.all_rules())

    @property
    def advisor_judges(self) -> bool:
        """Whether an advisor is asked, as an episode ends, if the task is solved."""
        return any(isinstance(rule, Vlm) for rule in self.config.success.all_rules())

    def sample(
        self, rng: np.random.Generator, tool: Pose, observed: Mapping[str, Pose] | None = None
    ) -> dict[str, Pose]:
        """Where things are as an episode begins.

        Args:
            rng: draws the places.
            tool: its pose (7,) at the start.
            observed: poses of things that a person has placed; the others are drawn.

        Raises:
            VarlError: the ranges leave no room for the distances that must be between things.
        """
        poses = {TOOL: tool}
        for name, thing in self.config.things.items():
            if observed and name in observed:
                poses[name] = observed[name]
            elif thing.start:
                poses[name] = self._draw(rng, name, thing, poses)
        del poses[TOOL]
        return poses

    def begin(self, situation: Situation) -> None:
        """An episode begins with ``situation``."""
        self._judge = Judge(self.config.success)

    def is_success(self, situation: Situation) -> bool:
        """Whether the task is solved, in the period that brought about ``situation``."""
        return self._judge(situation)

    def distance(self, situation: Situation) -> float:
        """How far from solved, m: the dense reward's negative."""
        return sum((situation.distance(*pair) for pair in self.config.dense), 0.0)

    def reward(self, situation: Situation, success: bool, dense: bool) -> float:
        """Sparse: 1 on success, else 0. Dense, for comparison only: less the distance, and 1 more on success."""
        return float(success) - self.distance(situation) if dense else float(success)

    def _draw(self, rng: np.random.Generator, name: str, thing: ThingConfig, poses: Mapping[str, Pose]) -> Pose:
        start, corners = thing.start, thing.corners()
        assert start
        assert corners
        base = poses[start.relative_to][:3] if start.relative_to else np.zeros(3)
        for _ in range(_TRIES):
            place = base + _uniform(rng, start.low, *corners)
            if all(np.linalg.norm(place - poses[other][:3]) >= far for other, far in start.away_from.items()):
                low, high = start.yaw
                yaw = rng.uniform(low, high) if low < high else low
                turn = Rotation.from_euler("z", yaw)
                if start.lean:
                    to, far = rng.uniform(-np.pi, np.pi), rng.uniform(0.0, start.lean)
                    turn = Rotation.from_rotvec(far * np.array([np.cos(to), np.sin(to), 0.0])) * turn
                return np.concatenate([place, turn.as_quat()])
        raise VarlError(f"task {self.name}: where {name} starts leaves no room for away_from; widen its start")


def load_task(path: str | Path, held: int = 0, **overrides: Any) -> Task:
    """The task that a file in config/tasks describes; ``overrides`` replace its fields.

    ``held``: control periods for which success must hold, in place of the file's; 0: the file's.

    Raises:
        VarlError: the file is missing, a field is wrong, or its class is not installed.
    """
    config = TaskConfig.from_dict(_with_files(load_yaml(path) | overrides, Path(path)), str(path))
    if held:
        config = config.model_copy(update={"success": config.success.model_copy(update={"held": held})})
    if not config.python:
        return Task(config)
    known = {entry.name: entry for entry in entry_points(group=_ENTRY_POINTS)}
    if config.python not in known:
        near = did_you_mean(config.python, known) if known else "none is installed"
        raise VarlError(f"{path}: no package offers the task class {config.python!r} in {_ENTRY_POINTS}; {near}")
    task: Task = known[config.python].load()(config)
    return task


def _with_files(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """The task's file with the files that it names found: they are relative to it."""
    things = values.get("things")
    for thing in things.values() if isinstance(things, dict) else ():
        match thing:
            case {"object": {"mjcf": str(file)} as content}:
                content["mjcf"] = str(resolve(file, path))
            case {"object": {"mesh": str(file)} as content}:
                content["mesh"] = str(resolve(file, path).absolute())
    _find_classifiers(values.get("success"), path)
    match values.get("reset"):
        case {"task": str(file)}:
            values["reset"] = {**values["reset"], "task": str(resolve(file, path))}
    return values


def _find_classifiers(rule: Any, path: Path) -> None:
    """Name the folders of a rule's classifiers in full: beside the task's file, or else where the program runs."""
    for key, value in list(rule.items()) if isinstance(rule, dict) else ():
        if key == "classifier" and isinstance(value, str):
            folder = Path(value).expanduser()
            beside = path.absolute().parent / folder
            rule[key] = str(beside if beside.exists() or not folder.exists() else folder.absolute())
        for part in value if isinstance(value, list) else [value]:
            _find_classifiers(part, path)


def _uniform(rng: np.random.Generator, drawn: tuple[float, ...], low: Iterable[float], high: Iterable[float]) -> Array:
    """(3,) between two corners; of ``drawn`` numbers only, and those of the table are its first two."""
    low, high = np.array([*low]), np.array([*high])
    count = len(drawn)
    return np.concatenate([rng.uniform(low[:count], high[:count]), low[count:]]) if count else low


def _named_by_start(thing: ThingConfig) -> Iterator[str]:
    if thing.start:
        yield from thing.start.away_from
        if thing.start.relative_to:
            yield thing.start.relative_to


def _known(where: str, names: Iterable[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{where}: there is no {name!r} (yet); {did_you_mean(name, known)}")
