"""A transition in words: the axes, the camera, the state, the action and what came of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from varl_common.env_description import TURNS, EnvDescription
from varl_common.plan import is_oriented, orientation, orientation_names
from varl_common.poses import rotation_vector

from varl_vlm_advisor.question.action_words import SMALL, encode, words_of
from varl_vlm_advisor.question.projection import Projection
from varl_vlm_advisor.types import GRIPPER, TOOL, State

_AXIS_WORTH_NAMING = 0.2
"""Share of an axis below which it isn't named in a direction."""
_UPRIGHT = 0.5
"""Degrees of leaning below which only the turn about the vertical is told."""


def axes(env: EnvDescription, projection: Projection | None) -> str:
    """One line per element of the action: its name, frame, sign, size and look in the picture."""
    return "\n".join(_axis(env, index, projection) for index in range(len(env.action_names)))


def answer_fields(env: EnvDescription) -> str:
    """One line per element of the action: the words to choose from."""
    lines = []
    for name in env.action_names:
        choices = ", ".join(f'"{word}"' for word in words_of(name))
        lines.append(f'- "{name}": one of {choices}')
    return "\n".join(lines)


def view(projection: Projection | None, drawn: bool) -> str:
    """How the picture lies in the base frame: "image-right is +0.55 x, +0.83 y"."""
    if projection is None:
        return "There is no picture of this transition; go by the state."
    image_axes = projection.image_axes()
    if image_axes is None:
        return "The camera's place is not known; go by the state for directions."
    names = ("image-right", "image-up", "away from the camera")
    lines = [f"- {name} is {_along(axis)}" for name, axis in zip(names, image_axes, strict=True)]
    if drawn:
        lines.append("- the arrows +x (red), +y (green) and +z (blue) are drawn in")
    return "\n".join(lines)


def state(env: EnvDescription, transition: State) -> str:
    """Where the things are, from the tool too, and every other element of the state."""
    lines, told = [], set()
    tool = env.position(TOOL, transition.state)
    for entity, first in zip(env.entities, env.entity_indices, strict=True):
        told |= {first, first + 1, first + 2}
        place = env.position(entity, transition.state)
        assert place is not None
        line = f"- {entity} at {_vector(place)} m"
        if tool is not None and entity != TOOL:
            line += f", which from the tool is {_vector(place - tool, sign=True)} m"
        lines.append(line)
    for name in (TOOL, *(entity for entity in env.entities if entity != TOOL)):
        if is_oriented(env, name):
            told |= {i for i, element in enumerate(env.observation_names) if element in orientation_names(name)}
            lines.append(f"- {name} {_turned(env, name, transition.state)}")
    for index, (name, unit) in enumerate(zip(env.observation_names, env.observation_units, strict=True)):
        if index not in told:
            lines.append(f"- {name}: {transition.state[index]:.3f} {unit}".rstrip())
    return "\n".join(lines)


def did(env: EnvDescription, transition: State) -> str:
    """The action taken, as numbers and in the words of the answer."""
    said = encode(transition.action, env.action_names)
    parts = [f"{n} {v:+.2f} ({said[n]})" for n, v in zip(env.action_names, transition.action, strict=True)]
    return ", ".join(parts)


def outcome(env: EnvDescription, transition: State) -> str:
    """How far each thing moved, and the reward."""
    parts = []
    for entity in env.entities:
        before, after = env.position(entity, transition.state), env.position(entity, transition.next_state)
        assert before is not None
        assert after is not None
        moved = after - before
        still = np.abs(moved).max() < 0.0005  # half a millimetre
        parts.append(f"{entity} did not move" if still else f"{entity} moved by {_vector(moved, sign=True)} m")
    return "; ".join([*parts, f"reward {transition.reward:g}"])


def _turned(env: EnvDescription, name: str, values: NDArray[np.float32]) -> str:
    """How a thing, or the tool since home, is turned, and how it is from the tool."""
    rotation = orientation(values[None], env, name)[0]
    words = f"is turned by {_angles(rotation)}"
    if name != TOOL and is_oriented(env, TOOL):
        words += f", which from the tool is {_angles(rotation @ orientation(values[None], env, TOOL)[0].T)}"
    return words


def _angles(rotation: NDArray[np.float64]) -> str:
    """A rotation (3, 3) in words: about the vertical, or about x, y and z."""
    x, y, z = np.degrees(rotation_vector(rotation))
    if max(abs(x), abs(y)) < _UPRIGHT:
        return f"{z:+.0f} degrees about z"
    return f"the rotation vector ({x:+.0f}, {y:+.0f}, {z:+.0f}) degrees"


def _axis(env: EnvDescription, index: int, projection: Projection | None) -> str:
    name, scale, unit = env.action_names[index], env.action_scale[index], env.action_units[index]
    if name == GRIPPER:
        return "- gripper: close (grasp), open (let go) or hold (leave it)"
    if name in TURNS:
        sizes = f"large is {scale:g} rad ({np.degrees(scale):.1f} degrees), small is {SMALL * scale:.2g} rad"
        if name == "yaw":
            return f"- yaw: + turns the tool about the vertical, anticlockwise as seen from above, - clockwise; {sizes}"
        axis = f"{name[-1]} of {env.base_frame}"
        return f"- {name}: + turns the tool about +{axis} by the right hand (thumb along it), - against it; {sizes}"
    if index not in env.translations:
        return f"- {name}: large is {scale:g} {unit}, small is {SMALL * scale:.2g} {unit}"
    line = f"- {name}: + moves the tool along +{name[-1]} of {env.base_frame}, - against it"
    line += f"; large is {scale:g} {unit}, small is {SMALL * scale:.2g} {unit}"
    image_axes = projection.image_axes() if projection is not None else None
    if image_axes is not None:
        looks = _look(np.array([axis["xyz".index(name[-1])] for axis in image_axes]))
        line += f"; in the picture + goes {looks}"
    return line


def _look(direction: NDArray[np.float64]) -> str:
    """``direction`` (right, up, away) in words, the strongest first."""
    names = (("left", "right"), ("down", "up"), ("towards the camera", "away from the camera"))
    order = np.argsort(-np.abs(direction))
    parts = [names[i][int(direction[i] > 0)] for i in order if abs(direction[i]) > _AXIS_WORTH_NAMING]
    return " and ".join(parts)


def _along(axis: NDArray[np.float64]) -> str:
    parts = [f"{v:+.2f} {n}" for n, v in zip("xyz", axis, strict=True) if abs(v) >= 0.05]
    return ", ".join(parts)


def _vector(values: NDArray[np.float64], sign: bool = False) -> str:
    form = "{:+.3f}" if sign else "{:.3f}"
    return "(" + ", ".join(form.format(value) for value in values) + ")"
