"""Tasks: scenes, success, rewards, and what is said about a wrong file."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from varl_common.errors import VarlError
from varl_robot_env.config.paths import config_file, config_folder
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.tasks.fit import check_fits
from varl_robot_env.tasks.situation import Situation
from varl_robot_env.tasks.task import load_task

UPRIGHT = [0.0, 0.0, 0.0, 1.0]
TOOL = np.array([0.40, 0.0, 0.18, *UPRIGHT])
NAMES = sorted(path.stem for path in (config_folder() / "tasks").glob("*.yaml"))
REACH = yaml.safe_load(config_file("tasks", "reach").read_text())
BLOCK = {"shape": "sphere", "size": [0.04], "mass": 0.1}


def pose(*position: float) -> np.ndarray:
    return np.array([*position, *UPRIGHT])


def situation(tool: float = 1.0, block: float = 1.0, height: float = 0.02) -> Situation:
    """Tool and block at given distances from the target."""
    at = {"tool": tool, "block": block, "target": 0.0}
    return Situation({name: pose(0.4 + distance, 0.0, height) for name, distance in at.items()})


@pytest.mark.parametrize("name", NAMES)
def test_scenes_are_within_their_ranges_and_reproducible(name: str) -> None:
    task = load_task(config_file("tasks", name))
    draw = [task.sample(rng, TOOL) for rng in (np.random.default_rng(3), np.random.default_rng(3))]
    for thing, place in draw[0].items():
        np.testing.assert_array_equal(place, draw[1][thing])
    rng = np.random.default_rng(0)
    for _ in range(200):
        scene = task.sample(rng, TOOL) | {"tool": TOOL}
        for thing, config in task.config.things.items():
            start, corners = config.start, config.corners()
            if start is None or corners is None:
                continue
            base = scene[start.relative_to][:3] if start.relative_to else np.zeros(3)
            assert (scene[thing][:3] >= base + corners[0] - 1e-9).all()
            assert (scene[thing][:3] <= base + corners[1] + 1e-9).all()
            for other, far in start.away_from.items():
                assert np.linalg.norm(scene[thing][:3] - scene[other][:3]) >= far


def test_places_are_drawn_away_from_where_things_really_are() -> None:
    push, rng = load_task(config_file("tasks", "push")), np.random.default_rng(0)
    for _ in range(300):
        seen = pose(*rng.uniform([0.36, -0.13], [0.47, 0.13]), 0.02)
        scene = push.sample(rng, TOOL, {"block": seen})
        assert scene["block"] is seen
        assert np.linalg.norm(scene["target"][:3] - seen[:3]) >= 0.08


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
    assert not lift.is_success(Situation({"block": pose(0.4, 0, 0.09)}))
    assert lift.is_success(Situation({"block": pose(0.4, 0, 0.11)}))


def changed(values: Any, path: str, value: Any) -> Any:
    """A copy of ``values`` in which what stands at ``path`` is ``value``, or is not there where that is None."""
    first, _, rest = path.partition(".")
    inner = changed(values.get(first, {}), rest, value) if rest else value
    return {name: old for name, old in values.items() if name != first} | ({} if inner is None else {first: inner})


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("succes", 1, "unknown parameter 'succes'; did you mean 'success'"),
        ("things.target.strat", 1, "unknown parameter 'things.target.strat'; did you mean 'start'"),
        ("things.target.object.colour", "red", "unknown parameter 'things.target.object.colour'; did you mean 'color'"),
        ("things.target.from", "markr", "'things.target.from'"),
        ("things.target.from", "link", "names its link"),
        ("things.target.start", None, "say where it starts"),
        ("things.target.start.low", [0.71, 0, 0], "swap the corners"),
        ("things.target.start.low", [0.3, 0], "two .* or three numbers"),
        ("things.target.start.away_from", {"tol": 0.1}, "things.target.start: there is no 'tol'.*'tool'"),
        ("things.target.object.size", [0.1, 0.1], "a sphere's size is 1 numbers, not 2"),
        ("things.target.object.mass", 0.1, "a mark has no mass"),
        ("things.target.object.mjcf", "x.xml", "x.xml does not exist"),
        ("things.target.object", {"mjcf": "../scenes/button.xml", "color": "red"}, "leave out what stands beside it"),
        ("things.target.object", {"color": "red"}, "give either shape and size, or mesh"),
        ("things.target.part", "block/lid", "a part has no object"),
        ("things.target.still", True, "is not sensed; leave out still"),
        ("things.target", {"from": "vlm", "still": True, "object": BLOCK, "start": {"at": [0, 0, 0]}}, "is not moved"),
        ("things", {}, "at least 1 item"),
        ("things.two words", {"from": "marker"}, "cannot be called 'two words'"),
        ("observe", ["tool", "targt"], "there is no 'targt'; did you mean 'target'"),
        ("observe", ["tool", "tool"], "names something twice"),
        ("act", ["dx", "dw"], "act.1"),
        ("success", {"distence": ["tool", "target"]}, "unknown rule 'distence'; did you mean 'distance'"),
        ("success", {"distance": ["tool", "tagret"], "at_most": 0.1}, "success: there is no 'tagret'.*'target'"),
        ("success", {"distance": ["tool", "target"], "at_mst": 0.1}, "'at_mst'; did you mean 'at_most'"),
        ("success", {"distance": ["tool", "target"]}, "say how much: at_most or at_least"),
        ("success", {"distance": ["tool", "target"], "at_most": "near"}, "at_most"),
        ("success", "reached", "expected a rule such as"),
        ("dense", [["tool", "goal"]], "dense: there is no 'goal'"),
        ("instruction", "Go to {goal}.", "only names in braces are {block} and {target}"),
        ("python", "sweep", "no package .*'sweep'.*varl.tasks"),
    ],
)
def test_a_wrong_file_is_told_in_a_sentence(tmp_path: Path, path: str, value: Any, sentence: str) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    shutil.copytree(config_folder() / "scenes", tmp_path / "scenes")
    file = folder / "reach.yaml"
    file.write_text(yaml.safe_dump(changed(REACH, path, value)))
    with pytest.raises(VarlError, match=sentence) as caught:
        load_task(file)
    assert "\n" not in str(caught.value)


def test_ranges_without_room_are_told(tmp_path: Path) -> None:
    file = tmp_path / "reach.yaml"
    file.write_text(yaml.safe_dump(changed(REACH, "things.target.start.away_from.tool", 9)))
    with pytest.raises(VarlError, match="leaves no room"):
        load_task(file).sample(np.random.default_rng(0), TOOL)


def test_unknown_names_are_told() -> None:
    with pytest.raises(VarlError, match=r"unknown task 'rech'.*'reach'"):
        config_file("tasks", "rech")
    with pytest.raises(VarlError, match=r"unknown robot 'varl_arn'.*'varl_arm'"):
        config_file("robots", "varl_arn")


def robot(name: str, **overrides: Any) -> RobotConfig:
    return RobotConfig.from_yaml(config_file("robots", name), **overrides)


@pytest.mark.parametrize("name", ["fr3", "gen3", "ur5e", "xarm6", "varl_arm"])
@pytest.mark.parametrize("task", sorted({"reach", *NAMES} - {"reach_so101"}))
def test_the_tasks_fit_the_arms(name: str, task: str) -> None:
    loaded = load_task(config_file("tasks", task))
    check_fits(loaded, robot(name), "mujoco" if loaded.feels else "real")


@pytest.mark.parametrize(
    ("task", "what", "backend", "sentence"),
    [
        ("reach", lambda: robot("so101"), "real", "target starts at x from 0.31 to 0.53 m, .* within 0.16 to 0.24 m"),
        ("push", lambda: robot("so101"), "real", "block starts at x from 0.37 to 0.46 m"),
        ("lift", lambda: robot("varl_arm", gripper=None), "mujoco", "asks for a gripper"),
    ],
)
def test_a_task_that_does_not_fit_is_refused_with_the_numbers(
    task: str, what: Callable[[], RobotConfig], backend: str, sentence: str
) -> None:
    with pytest.raises(VarlError, match=sentence):
        check_fits(load_task(config_file("tasks", task)), what(), backend)


def test_so101_reaches_in_its_own_workspace() -> None:
    check_fits(load_task(config_file("tasks", "reach_so101")), robot("so101"), "real")


def test_what_is_in_a_simulator_alone_is_not_for_an_arm(tmp_path: Path) -> None:
    file = tmp_path / "reach.yaml"
    values = changed(REACH, "observe", ["tool", "velocity", "target", "block"])
    file.write_text(yaml.safe_dump(changed(values, "things.block.start.at", [0.4, 0.1, 0.02])))
    check_fits(load_task(file), robot("varl_arm"), "mujoco")
    with pytest.raises(VarlError, match="block comes from a simulator; on an arm it is from: marker, color or vlm"):
        check_fits(load_task(file), robot("varl_arm"), "real")


@pytest.mark.parametrize(
    ("name", "backend", "fits"),
    [("varl_arm", "mujoco", True), ("ur5e", "real", True), ("varl_arm", "real", False), ("varl_arm", "gazebo", False)],
)
def test_force_wants_something_that_measures_it(name: str, backend: str, fits: bool) -> None:
    button = load_task(config_file("tasks", "button"))
    if fits:
        check_fits(button, robot(name), backend)
    else:
        with pytest.raises(VarlError, match="force on the tool; name what measures it in driver: wrench"):
            check_fits(button, robot(name), backend)
