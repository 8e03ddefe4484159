"""How good advice is: against the expert's action, and in what it brings when it is followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from varl_common.env_description import EnvDescription
from varl_common.host.progress import progress

from varl_vlm_advisor.evaluation.labelled_states import LabelledState, restore
from varl_vlm_advisor.evaluation.worlds import World
from varl_vlm_advisor.types import GRIPPER

FOLLOWED = 8
"""Steps for which an action is followed to see what it brings."""
_CLEAR = 0.15
"""An axis on which the expert moves less has no sign worth agreeing with."""

Actions = NDArray[np.float32]


@dataclass(frozen=True)
class Score:
    """Means over the states that were answered; NaN where there are none to take a mean of."""

    cosine: float
    """Of advised and expert's translation."""
    signs: float
    """Share of clear axes with the expert's sign."""
    per_axis: dict[str, float]
    gripper: float
    """Share of states with the expert's gripper command."""
    progress: float
    """Return of following the advice, where 0 is standing still and 1 the expert's action."""


def score(world: World, examples: list[LabelledState], actions: Actions) -> Score:
    """Judge ``actions`` (n, act_dim), one per example; rows of NaN are states without advice."""
    answered = np.asarray(np.isfinite(actions).all(axis=1))
    env = world.env
    experts = np.stack([example.expert for example in examples])
    moves = env.translations
    cosines, agree = _cosines(actions[:, moves], experts[:, moves]), _agreement(env, actions, experts)
    gripper = np.nan
    if GRIPPER in env.action_names:
        index = list(env.action_names).index(GRIPPER)
        gripper = _mean(_commands(actions[answered, index]) == _commands(experts[answered, index]))
    axes = {name: _mean(agree[answered, i]) for i, name in enumerate(env.action_names) if i in moves}
    kept = [example for example, there in zip(examples, answered, strict=True) if there]
    progress = _progress(world, kept, actions[answered])
    return Score(_mean(cosines[answered]), _mean(agree[answered][:, moves]), axes, gripper, progress)


def agreement(env: EnvDescription, one: Actions, other: Actions) -> float:
    """Share of the axes on which ``other`` moves clearly where ``one`` has its sign; over rows that both have."""
    both = np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
    return _mean(_agreement(env, one[both], other[both])[:, env.translations])


def _cosines(one: Actions, other: Actions) -> NDArray[np.float64]:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(
            np.linalg.norm(other, axis=1) < _CLEAR, np.nan, np.nan_to_num((one * other).sum(axis=1) / lengths)
        )


def _agreement(env: EnvDescription, actions: Actions, experts: Actions) -> NDArray[np.float64]:
    return np.where(np.abs(experts) < _CLEAR, np.nan, np.sign(actions) == np.sign(experts))


def _commands(values: Actions) -> NDArray[np.float64]:
    return np.where(np.abs(values) < _CLEAR, 0.0, np.sign(values))


def _progress(world: World, examples: list[LabelledState], actions: Actions) -> float:
    """Sums, not a mean of ratios: where the expert gains little, a ratio says nothing."""
    gained = possible = 0.0
    for example, action in progress(zip(examples, actions, strict=True), "followed", len(examples)):
        still = _followed(world, example, np.zeros_like(action))
        gained += _followed(world, example, action) - still
        possible += _followed(world, example, example.expert) - still
    return gained / possible if possible > 0 else float("nan")


def _followed(world: World, example: LabelledState, action: NDArray[np.float32]) -> float:
    restore(world, example)
    total = 0.0
    for step in range(FOLLOWED):
        _, reward, solved = world.step(action)
        if solved:  # and so it stays
            return total + reward * (FOLLOWED - step)
        total += reward
    return total


def _mean(values: NDArray[np.generic]) -> float:
    there = np.asarray(values, np.float64)
    there = there[np.isfinite(there)]
    return float(there.mean()) if there.size else float("nan")
