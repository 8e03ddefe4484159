"""What a policy sees: pictures of the cameras that the robot's file gives a view, beside what the arm feels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from gymnasium.utils.env_checker import check_env
from varl_common.errors import VarlError
from varl_common.yaml_file import load_yaml
from varl_robot_env.arm import Picture
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig, ViewConfig
from varl_robot_env.env.arm_env import ArmEnv
from varl_robot_env.env.view import seen

ROBOT = config_file("robots", "varl_arm")


@pytest.fixture
def make_env() -> Any:
    made: list[ArmEnv] = []

    def make(task: str = "push", **settings: Any) -> ArmEnv:
        made.append(ArmEnv(task, **settings))
        if made[-1].arm.simulation.camera.render(made[-1].arm.simulation.data) is None:
            pytest.skip(str(made[-1].arm.simulation.camera.error))
        return made[-1]

    yield make
    for env in made:
        env.close()


def other_robot(folder: Path, **changes: Any) -> str:
    """A robot's file like the arm's own, but for these fields."""
    path = folder / "robot.yaml"
    path.write_text(yaml.safe_dump(load_yaml(ROBOT) | changes))
    return str(path)


@pytest.mark.parametrize("observation", ["pixels", "both"])
def test_pixels_pass_gymnasiums_checker(make_env: Any, observation: str) -> None:
    check_env(make_env(observation=observation), skip_render_check=True)


def test_pixels_show_the_things_and_tell_only_of_the_arm(make_env: Any) -> None:
    env, both = make_env(observation="pixels"), make_env(observation="both")
    observation, info = env.reset(seed=1)
    assert set(observation) == {"camera", "side_camera", "state"}
    names = np.array(env.description.observation_names)[list(env.description.observed)]
    assert all(name.startswith("tool_") for name in names)
    np.testing.assert_array_equal(observation["state"], info["state"][list(env.description.observed)])
    assert info["picture_ages"] == {"camera": 0.0, "side_camera": 0.0}
    with_state, _ = both.reset(seed=1)
    np.testing.assert_array_equal(with_state["state"], info["state"])
    for camera in ("camera", "side_camera"):
        picture = observation[camera].astype(int)
        np.testing.assert_array_equal(picture, with_state[camera])
        red = (picture[..., 0] > 120) & (picture[..., 1:].max(axis=2) < 80)
        green = (picture[..., 1] > 120) & (picture[..., ::2].max(axis=2) < 100)
        assert red.sum() > 20, f"{camera} sees no block"
        assert green.sum() > 10, f"{camera} sees no target"


def test_a_step_moves_what_is_seen(make_env: Any) -> None:
    env = make_env(observation="pixels")
    before, _ = env.reset(seed=2)
    for _ in range(4):
        after, *_, info = env.step(np.ones(3, np.float32))
    assert all((before[camera] != after[camera]).any() for camera in env.description.picture_cameras)
    assert info["picture_ages"] == {"camera": 0.0, "side_camera": 0.0}


def test_a_view_is_the_part_that_it_names() -> None:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[10:30, 40:60] = 255
    square = seen(Picture(pixels, 7), ViewConfig(crop=(0.5, 0.25, 0.75, 0.75), side=10))
    assert square.pixels.shape == (10, 10, 3)
    assert (square.pixels == 255).all()
    assert square.stamp_ns == 7


@pytest.mark.parametrize("crop", [[0.5, 0.0, 0.5, 1.0], [0.0, 0.9, 1.0, 0.1], [-0.1, 0.0, 1.0, 1.0]])
def test_a_crop_that_is_no_part_is_refused(tmp_path: Path, crop: list[float]) -> None:
    camera = load_yaml(ROBOT)["cameras"][0] | {"view": {"crop": crop, "side": 64}}
    with pytest.raises(VarlError, match="left below right"):
        RobotConfig.from_yaml(other_robot(tmp_path, cameras=[camera]))


def test_what_cannot_be_seen_is_refused(tmp_path: Path) -> None:
    cameras = [{name: value for name, value in one.items() if name != "view"} for one in load_yaml(ROBOT)["cameras"]]
    with pytest.raises(VarlError, match=r"camera with a view.*side: 128"):
        ArmEnv("reach", other_robot(tmp_path, cameras=cameras), observation="pixels")
    with pytest.raises(VarlError, match="pixels"):
        ArmEnv("reach", observation="pixel")
    with pytest.raises(VarlError, match="rename it"):
        RobotConfig.from_yaml(other_robot(tmp_path, cameras=[cameras[0] | {"name": "state"}]))
