"""Tasks: scenes, success, rewards, and what is said about a wrong file."""

from pathlib import Path

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_robot_env.config.paths import config_file
from varl_robot_env.tasks.task import TASKS, Situation, load_task

TOOL = np.array([0.40, 0.0, 0.18])


def situation(tool: float = 1.0, block: float = 1.0, height: float = 0.02) -> Situation:
    """Tool and block at given distances from the target."""
    target, along_x = np.array([0.4, 0.0, height]), np.array([1.0, 0.0, 0.0])
    return Situation(target + tool * along_x, target + block * along_x, target)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_scenes_are_within_their_ranges_and_reproducible(name: str) -> None:
    task = load_task(config_file("tasks", name))
    draw = [task.sample(rng, TOOL) for rng in (np.random.default_rng(3), np.random.default_rng(3))]
    np.testing.assert_array_equal(draw[0]["target"], draw[1]["target"])
    rng = np.random.default_rng(0)
    for _ in range(200):
        scene = task.sample(rng, TOOL)
        start = TOOL if name == "reach" else scene["block"][:3]
        assert np.linalg.norm(scene["target"][:3] - start) >= task.config.start_distance
        assert not task.is_success(Situation(TOOL, scene["block"][:3], scene["target"][:3]))
        if name != "reach":
            assert (scene["block"][:2] >= task.config.block_low).all()
            assert (scene["block"][:2] <= task.config.block_high).all()


def test_sparse_is_one_on_success_and_else_nothing() -> None:
    reach = load_task(config_file("tasks", "reach"))
    assert [reach.is_success(situation(tool=d)) for d in (0.02, 0.03, 0.5)] == [True, False, False]
    assert [reach.reward(situation(tool=0.5), success, dense=False) for success in (True, False)] == [1.0, 0.0]


def test_dense_grows_towards_success() -> None:
    push = load_task(config_file("tasks", "push"))
    rewards = [push.reward(situation(tool=0.1, block=d), d == 0.0, dense=True) for d in (0.5, 0.2, 0.0)]
    assert rewards == sorted(rewards)


def test_lift_wants_height() -> None:
    lift = load_task(config_file("tasks", "lift"))
    assert not lift.is_success(Situation(TOOL, np.array([0.4, 0, 0.09]), TOOL))
    assert lift.is_success(Situation(TOOL, np.array([0.4, 0, 0.11]), TOOL))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("task: reach", "task: reech"), "unknown task 'reech'; did you mean 'reach'"),
        (("success_radius: 0.025", "success_radius: -1"), "greater than 0"),
        (("success_radius", "succes_radius"), "unknown parameter 'succes_radius'; did you mean 'success_radius'"),
        (("target_low: [0.31,", "target_low: [0.71,"), "swap the corners"),
        (("start_distance: 0.08", "start_distance: 9"), None),
    ],
)
def test_a_wrong_file_is_told_in_a_sentence(tmp_path: Path, change: tuple[str, str], sentence: str | None) -> None:
    path = tmp_path / "reach.yaml"
    path.write_text(config_file("tasks", "reach").read_text().replace(*change))
    if sentence:
        with pytest.raises(VarlError, match=sentence) as caught:
            load_task(path)
        assert "\n" not in str(caught.value)
    else:
        with pytest.raises(VarlError, match="leaves no room"):
            load_task(path).sample(np.random.default_rng(0), TOOL)


def test_unknown_names_are_told() -> None:
    with pytest.raises(VarlError, match=r"unknown task 'rech'.*'reach'"):
        config_file("tasks", "rech")
    with pytest.raises(VarlError, match=r"unknown robot 'varl_arn'.*'varl_arm'"):
        config_file("robots", "varl_arn")
