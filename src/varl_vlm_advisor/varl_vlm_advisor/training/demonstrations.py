"""Demonstrations with pictures to teach with: what a person did in a state is the right direction there."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
from varl_common.errors import VarlError
from varl_common.frame import Frame
from varl_common.image_codec import encode_jpeg

from varl_vlm_advisor.evaluation.worlds import make_world
from varl_vlm_advisor.question.config import QuestionConfig
from varl_vlm_advisor.question.prompt import Prompter
from varl_vlm_advisor.training import scenes, teacher
from varl_vlm_advisor.training.examples import Example
from varl_vlm_advisor.types import TOOL, State

_APART = 4
"""Steps between two states of an episode that are asked about: those beside each other show nearly the same."""


def of_demonstrations(task: str, folder: Path, seed: int = 0) -> list[Example]:
    """Examples of the states of a LeRobot dataset of ``task``, by the pictures of its first camera.

    What a question tells of things, and of what was done, is made up: the picture and the tool's place decide.

    Raises:
        VarlError: it is no such dataset, has no pictures, or is of another task.
    """
    from varl_agent.datasets.lerobot import open_lerobot

    source, episodes = open_lerobot(folder)
    if not source.cameras:
        raise VarlError(f"{folder} has no pictures; make it of a run with observation:=both: varl dataset source:=RUN")
    with contextlib.closing(make_world(task)) as world:
        env = world.env
    for what, theirs, ours in (
        ("states", source.state_names, env.observation_names),
        ("actions", source.action_names, env.action_names),
    ):
        if theirs != tuple(ours):
            raise VarlError(f"{folder} has {what} of {', '.join(theirs)}, {task} has {', '.join(ours)}; name its task")
    camera, rng = next(iter(source.cameras)), np.random.default_rng(seed)
    asker = Prompter(QuestionConfig(strategy="direction"), True, scenes.MODEL)
    tool = env.entity_indices[env.entities.index(TOOL)]
    made = []
    for episode in episodes:
        for step in range(int(rng.integers(0, _APART)), len(episode), _APART):
            truth = episode.states[step]
            (told,) = scenes.made_up(env, [truth], rng)
            did, after = rng.uniform(-1, 1, len(env.action_names)).astype(np.float32), told.copy()
            after[tool : tool + 3] += (did * env.action_scale)[env.translations]
            frame = Frame(camera, encode_jpeg(episode.pictures[camera][step]))
            question = asker.question(env, State(0, told, did, after, 0.0, (frame,)))
            right = teacher.answer(question, truth, episode.actions[step])
            made += [Example(question.system, question.text, question.image, right, {})] if right else []
    return made
