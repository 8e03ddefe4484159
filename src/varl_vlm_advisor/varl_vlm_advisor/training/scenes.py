"""Scenes to teach with: transitions of the project's simulated tasks, each with a look of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError
from varl_common.task_plans import PLANS

from varl_vlm_advisor.evaluation import storage
from varl_vlm_advisor.evaluation.worlds import ArmWorld, make_varied_world, make_world
from varl_vlm_advisor.question.config import QuestionConfig
from varl_vlm_advisor.question.places import PlacePrompter
from varl_vlm_advisor.question.pointing import convention_of
from varl_vlm_advisor.question.prompt import Prompter
from varl_vlm_advisor.question.question import StateQuestion
from varl_vlm_advisor.training import examples, teacher
from varl_vlm_advisor.training.examples import Example
from varl_vlm_advisor.types import TOOL, State

MODEL = "varl-sight"
"""Name by which the model's way of pointing is known."""
POINTS = convention_of(MODEL)
"""How every model is taught to point."""
SHARD = 300
"""Examples a file: about 5 MB, and made in seconds."""
_LONGEST = 45
_STRAY, _RUN = 0.35, 5
_APART = 4
"""Steps between two transitions of an episode, at most."""
_LOW, _HIGH = (0.28, -0.22, 0.02), (0.56, 0.22, 0.28)  # m: what may be told of where things are
_ASK = {"point": 0.6, "plan": 0.07, "place": 0.33}

Vector = NDArray[np.float32]
Pixel = NDArray[np.float64]


def make(tasks: list[str], shards: int, folder: Path, seed: int, held_out: bool = False) -> Iterator[Path]:
    """The first ``shards`` files of each task in ``folder``; those that are not there yet are made."""
    for number in range(shards):
        for task in tasks:
            file = folder / f"{task}-s{seed}-{number:04}.npz"
            if not file.exists():
                with contextlib.closing(make_varied_world(task, held_out=held_out, seed=number)) as world:
                    examples.save(_shard(world, 10_000 * seed + number), file)
            yield file


def of_states(task: str, folder: Path, strategy: str, seed: int = 0) -> list[Example]:
    """Examples of the states of ``task`` that advisor-eval keeps in ``folder``.

    Raises:
        VarlError: there are none, or nobody knows the right answer to ``strategy`` in that task.
    """
    kept = sorted(folder.glob(f"{task}-s*"))
    if not kept:
        raise VarlError(f"{folder} has no states of {task}; make some with advisor-eval task:={task} states:={folder}")
    if strategy != "direction" and task not in PLANS:
        known = ", ".join(PLANS)
        raise VarlError(f"the right answer to {strategy} is known in {known} only; teach strategy:=direction")
    rng = np.random.default_rng(seed)
    with contextlib.closing(make_world(task)) as world:
        asker = Prompter(QuestionConfig(strategy=strategy), True, MODEL)  # type: ignore[arg-type]
        made = []
        for state in (one for place in kept for one in storage.load(place)):
            told = made_up(world.env, [state.transition.state, state.transition.next_state], rng)
            shown = replace(state.transition, state=told[0], next_state=told[1])
            example = _example(asker.question(world.env, shown), state.transition.state, state.expert)
            made += [example] if example else []
    return made


def _example(question: StateQuestion, truth: Vector, expert: Vector) -> Example | None:
    right = teacher.answer(question, truth, expert)
    if right is None:
        return None
    return Example(question.system, question.text, question.image, right, teacher.places(question, truth))


def _shard(world: ArmWorld, seed: int) -> list[Example]:
    rng = np.random.default_rng(seed)
    askers = {name: Prompter(QuestionConfig(strategy=name), True, MODEL) for name in ("point", "plan")}
    finder = PlacePrompter(QuestionConfig(), MODEL)
    made: list[Example] = []
    episode = 1000 * seed
    while len(made) < SHARD:
        for shown, truth, expert, sights in transitions(world, rng, episode):
            strategy = str(rng.choice(list(_ASK), p=list(_ASK.values())))
            example: Example | None
            if strategy == "place":
                thing, words = teacher.thing_to_find(rng)
                question = finder.question(shown.frames[0], words)
                example = teacher.found(question, thing, sights)
            else:
                example = _example(askers[strategy].question(world.env, shown), truth, expert)
            made += [example] if example else []
        episode += 1
    return made[:SHARD]


def transitions(
    world: ArmWorld, rng: np.random.Generator, seed: int, truthful: bool = False
) -> Iterator[tuple[State, Vector, Vector, dict[str, Pixel]]]:
    """Transitions of the episode with ``seed``, in which the expert strays; the true state; its action there; what is
    in sight, and where, in pixels of the frame.

    What a transition's own state says of the things is made up, and only its tool is where it says, unless
    ``truthful``: a model that is taught by it has to look.
    """
    state = world.reset(seed)
    due = int(rng.integers(0, _APART))
    for step in range(_LONGEST):
        if step % _RUN == 0:
            wandering, stray = rng.random() < _STRAY, rng.uniform(-1, 1, len(world.env.action_names))
        expert = world.expert(state)
        action = stray.astype(np.float32) if wandering else expert
        shown = step == due
        if shown:
            due += int(rng.integers(1, _APART + 1))
            world.restyle(int(rng.integers(2**32)))
            frame, sights = world.frame(), world.in_sight()
        after, reward, solved = world.step(action)
        if shown:
            told, told_after = [state, after] if truthful else made_up(world.env, [state, after], rng)
            yield State(0, told, action, told_after, reward, (frame,)), state, expert, sights
        if solved:
            return
        state = after


def made_up(env: EnvDescription, states: list[Vector], rng: np.random.Generator) -> list[Vector]:
    """``states`` with every thing but the tool at one place of chance."""
    states = [state.copy() for state in states]
    for name, first in zip(env.entities, env.entity_indices, strict=True):
        if name != TOOL:
            place = rng.uniform(_LOW, _HIGH)
            for state in states:
                state[first : first + 3] = place
    return states
