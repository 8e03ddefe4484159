"""Right answers: what a model that sees all and knows the task would say to a question about a simulated transition."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from varl_common.env_description import EnvDescription
from varl_common.task_plans import PLANS

from varl_vlm_advisor.answer.motion import HOVER
from varl_vlm_advisor.backends.scripted import ScriptedBackend
from varl_vlm_advisor.question.action_words import encode
from varl_vlm_advisor.question.pointing import to_point
from varl_vlm_advisor.question.question import PlaceQuestion, StateQuestion
from varl_vlm_advisor.training.examples import Example

_TABLE = 0.0
"""m, base frame: height of the table of the project's own tasks. What stands free of things is pointed at there: a line
of sight through a place in the air ends on whatever is behind it."""

_WORDS = {
    "block": ("the red block", "red block", "the red cube", "the block", "a red block"),
    "target": ("the green ball", "green ball", "the green sphere", "the ball", "a green ball"),
    "": ("the banana", "the coffee mug", "the screwdriver"),
}
"""What things look like, as people say it; of none: what no scene has."""

Vector = NDArray[np.float64]


def pointing(env: EnvDescription, state: NDArray[np.float32]) -> tuple[str, Vector]:
    """What the task's plan does in ``state`` (obs_dim,), as an answer to ``point``: the phase, and where (3,) m."""
    plan = PLANS[env.task]
    places = plan.places(state[None], env)
    number = int(plan.phase_of(state[None], env, places)[0])
    phase, before = plan.phases[number], plan.phases[:number]
    place = np.asarray(places[number, 0], np.float64)
    opened = [one.gripper < 0 for one in before]
    if phase.gripper > 0 and any(opened):
        return ("grasp" if opened[-1] else "lift"), place
    above = phase.offset[2] >= HOVER
    if phase.opposite:
        return ("above" if above else "at"), np.array([place[0], place[1], _TABLE])
    return ("above", place - [0.0, 0.0, HOVER]) if above else ("at", place)


def places(question: StateQuestion, state: NDArray[np.float32]) -> dict[str, list[int]]:
    """Where the picture shows each thing of ``state``, in the model's coordinates; without those outside of it."""
    projection = question.projection
    assert projection is not None
    seen = {}
    for name in question.env.entities:
        position = question.env.position(name, state)
        assert position is not None
        pixel = projection.pixel(position)
        if projection.holds(pixel):
            assert pixel is not None
            seen[name] = to_point(pixel, question.convention, projection.width, projection.height)
    return seen


def answer(question: StateQuestion, state: NDArray[np.float32], expert: NDArray[np.float32]) -> str | None:
    """The right answer as JSON, in the one way that an answer that is held to the schema is written.

    ``state`` is the truth, whatever the question's own state says; ``expert`` the expert's action in it. None where
    there is no right answer: what would be pointed at is not in the picture.
    """
    body: dict[str, Any]
    if question.strategy == "plan":
        body = json.loads(asyncio.run(_SCRIPT.reply(question, 0)).text)
        return json.dumps(body | {"reason": PLANS[question.env.task].reason})
    seen = places(question, state)
    body = {"id": question.id, "reason": _reason(question.env, seen), "can_tell": True}
    if question.strategy == "direction":
        return json.dumps(body | encode(expert, question.env.action_names))
    phase, place = pointing(question.env, state)
    projection = question.projection
    assert projection is not None
    pixel = projection.pixel(place)
    if pixel is None or not projection.holds(pixel):
        return None
    point = to_point(pixel, question.convention, projection.width, projection.height)
    return json.dumps(body | {"phase": phase, "point": point})


def thing_to_find(rng: np.random.Generator) -> tuple[str, str]:
    """A thing, and words for what it looks like; some name what no scene has."""
    thing = str(rng.choice(list(_WORDS)))
    return thing, str(rng.choice(_WORDS[thing]))


def found(question: PlaceQuestion, thing: str, sights: Mapping[str, Vector]) -> Example:
    """The right answer to where ``question``'s picture shows ``thing``; ``sights``: (2,) px of what is in sight."""
    shown = question.projection
    assert shown is not None
    shrunk = np.array([shown.width, shown.height]) / question.whole
    seen = {
        name: to_point((pixel + 0.5) * shrunk - 0.5, question.convention, shown.width, shown.height)
        for name, pixel in sights.items()
    }
    point = seen.get(thing)
    # What is looked for is named first: what comes next can be read off it.
    reason = f"{thing or 'it'} not in sight" if point is None else f"{thing} {point}"
    body = {"id": question.id, "reason": reason, "can_tell": True, "visible": point is not None}
    right = json.dumps(body | {"point": point or [0, 0]})
    return Example(question.system, question.text, question.image, right, seen)


def _reason(env: EnvDescription, seen: dict[str, list[int]]) -> str:
    """A look before the leap: where each thing is in the picture. What is said next can be read off it."""
    told = [f"{name} {seen[name]}" if name in seen else f"{name} not in sight" for name in env.entities]
    return ", ".join(told)


_SCRIPT = ScriptedBackend(ScriptedBackend.Settings(error_rate=0.0))
