"""Scripted experts: proof that each task can be solved through the safety filter, and what perfect advice would be."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from varl_common.env_description import EnvDescription

from varl_robot_env.types import Array, Float32

_OPEN, _CLOSED = -1.0, 1.0
_CLEAR = 0.10  # m above the table: the fingers pass over the block
_PUSH_HEIGHT = 0.03  # m: below the block's top, above the table
_STANDOFF = 0.055  # m from the block's centre: the closed fingers do not touch it
_LEVEL = 0.02  # m: how exactly a place is taken before the next move
_ALIGNED = 0.008  # m: how far off its middle the block may be pushed or grasped
_GRASP_HEIGHT = 0.022  # m


class Expert:
    """A policy for the task of ``description`` that knows its geometry; each call is one control period."""

    def __init__(self, description: EnvDescription) -> None:
        self._description = description
        self._solve = _EXPERTS[description.task]

    def action(self, state: Float32) -> Float32:
        """What to do in ``state`` (observation_dim,); (action_dim,) in [-1, 1]."""
        description = self._description
        at = {
            name: state[index : index + 3].astype(np.float64)
            for name, index in zip(description.entities, description.entity_indices, strict=True)
        }
        if "gripper" in description.observation_names:
            at["gripper"] = state[[description.observation_names.index("gripper")]].astype(np.float64)
        place, gripper = self._solve(at)
        move = np.clip((place - at["tool"]) / description.action_scale[:3], -1.0, 1.0)
        return np.append(move, gripper)[: len(description.action_names)].astype(np.float32)


def _reach(at: Mapping[str, Array]) -> tuple[Array, float]:
    return at["target"], _CLOSED


def _push(at: Mapping[str, Array]) -> tuple[Array, float]:
    """Push along one axis after the other, with the finger behind the middle of a face: the block does not turn."""
    tool, block, target = at["tool"], at["block"], at["target"]
    error, offset = (target - block)[:2], tool - block
    pushing = [
        tool[2] < _PUSH_HEIGHT + _LEVEL
        and abs(offset[1 - axis]) < 2 * _ALIGNED
        and -offset[axis] * np.sign(error[axis]) > 0.5 * _STANDOFF
        for axis in (0, 1)
    ]
    unfinished = [axis for axis in (0, 1) if pushing[axis] and abs(error[axis]) > _ALIGNED]
    axis = unfinished[0] if unfinished else int(np.argmax(np.abs(error)))
    direction = np.zeros(3)
    direction[axis] = np.sign(error[axis])
    behind = block - _STANDOFF * direction
    if pushing[axis]:
        ahead = block + direction * min(abs(error[axis]), 0.02)
        ahead[1 - axis] = block[1 - axis]
        return np.array([ahead[0], ahead[1], _PUSH_HEIGHT]), _CLOSED
    if np.linalg.norm((tool - behind)[:2]) < _ALIGNED:
        return np.array([behind[0], behind[1], _PUSH_HEIGHT]), _CLOSED
    if tool[2] < _CLEAR - _LEVEL and np.linalg.norm(offset[:2]) < 1.6 * _STANDOFF:
        return np.array([tool[0], tool[1], _CLEAR]) - _STANDOFF * direction * (tool[2] > 0.06), _CLOSED
    return np.array([behind[0], behind[1], max(_CLEAR, tool[2] - 0.05)]), _CLOSED


def _lift(at: Mapping[str, Array]) -> tuple[Array, float]:
    """Above the block, down around it, close, up."""
    tool, block = at["tool"], at["block"]
    aside = float(np.linalg.norm((tool - block)[:2]))
    around = aside < _ALIGNED and tool[2] - block[2] < _ALIGNED
    if around and at["gripper"][0] < 0.026:  # closed onto the block: up
        return block + np.array([0.0, 0.0, 0.1]), _CLOSED
    if around:
        return np.array([block[0], block[1], max(block[2], _GRASP_HEIGHT)]), _CLOSED
    if aside < _ALIGNED:
        return np.array([block[0], block[1], max(block[2], _GRASP_HEIGHT)]), _OPEN
    return np.array([block[0], block[1], max(_CLEAR, tool[2] - 0.05)]), _OPEN


_EXPERTS: Mapping[str, Callable[[Mapping[str, Array]], tuple[Array, float]]] = {
    "reach": _reach,
    "push": _push,
    "lift": _lift,
}
