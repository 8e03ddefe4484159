"""Labelled states: a transition with its picture, what the expert would do, and how the simulator came there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from varl_common.host.progress import progress

from varl_vlm_advisor.evaluation.worlds import World
from varl_vlm_advisor.types import State

_LONGEST = 40
"""Steps after which a transition is taken, at the latest: the shortest episode (reach) has 50."""
_STRAY = 0.3
"""Share of steps that are random, in runs, so that the states are not only an expert's."""
_RUN = 5


@dataclass(frozen=True)
class LabelledState:
    """One state of a simulated task, with what the expert would do there."""

    transition: State
    expert: NDArray[np.float32]
    """The expert's action, shape (act_dim,) in [-1, 1]."""
    seed: int
    history: NDArray[np.float32]
    """Actions since the reset from ``seed``, shape (t, act_dim): repeated, they restore the simulator's state."""


def collect(world: World, count: int, seed: int) -> list[LabelledState]:
    """One labelled state from each of ``count`` episodes, in which the expert strays now and then."""
    return list(progress(itertools.islice(_labelled(world, seed), count), "labelled states", count))


def _labelled(world: World, seed: int) -> Iterator[LabelledState]:
    rng = np.random.default_rng(seed)
    found = 0
    for first in itertools.count(1000 * seed):
        state = world.reset(first)
        history: list[NDArray[np.float32]] = []
        stray = np.zeros_like(world.expert(state))
        solved = False
        for step in range(rng.integers(0, _LONGEST)):
            if step % _RUN == 0:
                wandering = rng.random() < _STRAY
                stray = rng.uniform(-1, 1, stray.shape).astype(np.float32)
            action = stray if wandering else world.expert(state)
            state, _, solved = world.step(action)
            history.append(action)
            if solved:
                break
        if not solved:
            yield _example(world, state, found, first, history, stray)
            found += 1


def restore(world: World, example: LabelledState) -> NDArray[np.float32]:
    """Bring ``world`` to the example; its state."""
    state = world.reset(example.seed)
    for action in example.history:
        state, _, _ = world.step(action)
    return state


def _example(
    world: World,
    state: NDArray[np.float32],
    number: int,
    seed: int,
    history: list[NDArray[np.float32]],
    action: NDArray[np.float32],
) -> LabelledState:
    frame, expert = world.frame(), world.expert(state)
    after, reward, _ = world.step(action)
    transition = State(number, state, action, after, reward, (frame,))
    return LabelledState(transition, expert, seed, np.array(history, np.float32).reshape(len(history), len(action)))
