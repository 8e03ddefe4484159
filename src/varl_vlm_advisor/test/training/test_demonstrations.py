"""What a person showed, with pictures, becomes the right answers to the advisor's questions."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from varl_common.arguments import complete
from varl_common.errors import VarlError
from varl_vlm_advisor.evaluation.worlds import make_world
from varl_vlm_advisor.training import command
from varl_vlm_advisor.training.demonstrations import of_demonstrations

pytest.importorskip("av")
pytest.importorskip("pyarrow")
from varl_agent.datasets.episodes import Episode, Source
from varl_agent.datasets.lerobot import write_lerobot

STEPS = 12


@pytest.fixture
def shown() -> tuple[Source, Episode]:
    """An episode of reach in which the tool is moved along +x alone."""
    world = make_world("reach")
    env = world.env
    world.close()
    cameras = {"camera": (48, 64, 3)}
    source = Source("Reach.", env.robot, tuple(env.observation_names), tuple(env.action_names), 0.05, cameras)
    states = np.full((STEPS, len(env.observation_names)), 0.3, np.float32)
    actions = np.tile(np.array([1.0, 0.0, 0.0], np.float32), (STEPS, 1))
    pictures = {"camera": np.random.default_rng(0).integers(0, 255, (STEPS, 48, 64, 3), np.uint8)}
    rewards = np.zeros(STEPS, np.float32)
    return source, Episode(states, actions, rewards, np.ones(STEPS, bool), False, pictures)


def test_what_was_done_is_the_answer_and_the_question_does_not_tell_it(
    tmp_path: Path, shown: tuple[Source, Episode]
) -> None:
    source, episode = shown
    write_lerobot(source, [episode], tmp_path / "set")
    made = of_demonstrations("reach", tmp_path / "set")
    assert len(made) == 3
    for example in made:
        answer = json.loads(example.answer)
        assert (answer["dx"], answer["dy"], answer["dz"]) == ("+large", "0", "0")
        assert example.image
    other = replace(episode, actions=-episode.actions)
    write_lerobot(source, [other], tmp_path / "other")
    opposite = of_demonstrations("reach", tmp_path / "other")
    assert [one.text for one in opposite] == [one.text for one in made]
    assert [one.answer for one in opposite] != [one.answer for one in made]


def test_what_cannot_teach_is_told(tmp_path: Path, shown: tuple[Source, Episode]) -> None:
    source, episode = shown
    write_lerobot(source, [episode], tmp_path / "set")
    with pytest.raises(VarlError, match="name its task"):
        of_demonstrations("push", tmp_path / "set")
    write_lerobot(replace(source, cameras={}), [replace(episode, pictures={})], tmp_path / "blind")
    with pytest.raises(VarlError, match="has no pictures"):
        of_demonstrations("reach", tmp_path / "blind")
    given = {"demonstrations": f"{tmp_path}/set", "task": "reach", "out": f"{tmp_path}/run"}
    with pytest.raises(VarlError, match="strategy:=direction"):
        command.train(complete(command.ARGUMENTS, given))
