"""Markers and colors in pictures that the test projects itself, so that the truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from varl_common.errors import VarlError
from varl_common.poses import matrix_to_pose, pose_to_matrix
from varl_robot_env.config.paths import config_folder
from varl_robot_env.nodes.perception import PerceptionConfig
from varl_robot_env.perception.camera_model import CameraModel
from varl_robot_env.perception.colors import ColorConfig
from varl_robot_env.perception.markers import MarkerConfig
from varl_robot_env.perception.things import ThingConfig, find_things
from varl_robot_env.standin.scene import draw_marker
from varl_robot_env.types import Array, Image

SIZE = (480, 640)
K = np.array([[615.0, 0.0, 322.0], [0.0, 616.0, 238.0], [0.0, 0.0, 1.0]])
STRAIGHT = CameraModel(SIZE[1], SIZE[0], K)
LENSES = {
    "straight": STRAIGHT,
    "plumb_bob": replace(STRAIGHT, distortion=np.array([0.05, -0.1, 0.001, -0.0005, 0.02])),
    "rational_polynomial": replace(STRAIGHT, distortion=np.array([0.6, -2.0, 0.001, 0.0, 1.2, 0.5, -1.8, 1.1])),
    "equidistant": replace(STRAIGHT, distortion=np.array([-0.02, 0.01, -0.004, 0.001]), fisheye=True),
}
MARKER = MarkerConfig(id=7, size=0.05, offset=(0.0, 0.0, -0.02))
THING = ThingConfig(name="block", marker=MARKER)


def camera_above() -> Array:
    """In the base frame: 0.6 m above the table, looking down and a little ahead."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xz", [np.pi + 0.3, 0.2]).as_matrix()
    matrix[:3, 3] = [0.4, -0.15, 0.6]
    return matrix


@pytest.mark.parametrize("lens", LENSES.values(), ids=list(LENSES))
def test_a_marker_tells_the_pose_of_its_thing_to_millimetres(lens: CameraModel) -> None:
    camera = camera_above()
    marker = pose_to_matrix(np.array([0.45, 0.05, 0.04, *Rotation.from_euler("zx", [0.5, 0.15]).as_quat()]))
    picture = draw_marker(MARKER, np.linalg.inv(camera) @ marker, lens)
    found = find_things([THING], picture, None, lens, camera)
    expected = marker[:3, 3] + marker[:3, :3] @ MARKER.offset
    assert 1000 * np.linalg.norm(found["block"][:3] - expected) < 4
    turn = Rotation.from_quat(found["block"][3:]).inv() * Rotation.from_matrix(marker[:3, :3])
    assert np.degrees(turn.magnitude()) < 3


def test_another_marker_or_none_is_not_the_thing() -> None:
    other = THING.model_copy(update={"marker": MARKER.model_copy(update={"id": 8})})
    tilted = Rotation.from_euler("x", np.pi - 0.4).as_quat()
    picture = draw_marker(MARKER, pose_to_matrix(np.array([0.0, 0.0, 0.5, *tilted])), STRAIGHT)
    assert find_things([THING], picture, None, STRAIGHT, np.eye(4))
    assert not find_things([other], picture, None, STRAIGHT, np.eye(4))
    assert not find_things([THING], np.full_like(picture, 128), None, STRAIGHT, np.eye(4))


def turns_found(size: float, distance: float, tilt: float, ambiguity: float) -> list[float]:
    """How far, degrees, the marker's turn was off in each of 16 noisy pictures in which it counts as seen."""
    rng, off = np.random.default_rng(3), []
    thing = ThingConfig(name="block", marker=MarkerConfig(id=7, size=size, ambiguity=ambiguity))
    for _ in range(16):
        about = rng.uniform(0.0, 2.0 * np.pi)
        lean = Rotation.from_rotvec(np.radians(tilt) * np.array([np.cos(about), np.sin(about), 0.0]))
        turn = lean * Rotation.from_euler("xz", [np.pi, rng.uniform(0.0, 6.28)])
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn.as_matrix(), [*rng.uniform(-0.05, 0.05, 2), distance]
        picture = draw_marker(thing.marker, pose, STRAIGHT) + rng.normal(0.0, 3.0, (*SIZE, 1))
        found = find_things([thing], np.clip(picture, 0, 255).astype(np.uint8), None, STRAIGHT, np.eye(4))
        if found:
            off.append(float(np.degrees((turn.inv() * Rotation.from_quat(found["block"][3:])).magnitude())))
    return off


@pytest.mark.parametrize(
    ("size", "distance", "tilt"), [(0.032, 0.6, 2), (0.032, 0.6, 5), (0.05, 1.0, 5), (0.05, 1.0, 15)]
)
def test_a_marker_that_may_be_tilted_either_way_is_refused_and_not_flipped(
    size: float, distance: float, tilt: float
) -> None:
    accepted = turns_found(size, distance, tilt, MarkerConfig(id=7, size=size).ambiguity)
    anyhow = turns_found(size, distance, tilt, 1.0)
    assert max(anyhow) > 7, "some are flipped"
    assert max(accepted, default=0.0) < 7
    assert len(accepted) < len(anyhow)


@pytest.mark.parametrize("tilt", [20, 45])
def test_a_marker_that_is_clearly_tilted_counts(tilt: float) -> None:
    assert len(turns_found(0.05, 0.4, tilt, MARKER.ambiguity)) == 16


def ball_at(position: Array, camera: Array, rgb: tuple[int, int, int]) -> tuple[Image, np.ndarray]:
    """A ball of 2 cm radius on a grey table (z = 0): picture and depth (m), traced ray by ray."""
    columns, rows = np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0]))
    rays = np.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], np.ones(SIZE)], axis=-1)
    turned = rays @ camera[:3, :3].T
    depth = -camera[2, 3] / turned[..., 2]
    centre = np.linalg.inv(camera) @ np.append(position, 1.0)
    a, b = (rays**2).sum(-1), -2 * rays @ centre[:3]
    root = b**2 - 4 * a * (centre[:3] @ centre[:3] - 0.02**2)
    ball = root > 0
    depth = np.where(ball, (-b - np.sqrt(np.maximum(root, 0))) / (2 * a), depth)
    picture = np.full((*SIZE, 3), 120, np.uint8)
    picture[ball] = rgb
    return picture, depth.astype(np.float32)


BLUE = ColorConfig(hue=(200, 260), behind=0.018)
RED = ColorConfig(hue=(340, 20), height=0.02)
PLACE = np.array([0.42, 0.06, 0.02])


def test_a_color_with_depth_tells_the_place() -> None:
    picture, depth = ball_at(PLACE, camera_above(), (30, 60, 220))
    depth[::3] = np.nan  # as depth cameras leave holes
    found = find_things([ThingConfig(name="block", color=BLUE)], picture, depth, STRAIGHT, camera_above())
    assert 1000 * np.linalg.norm(found["block"][:3] - PLACE) < 3
    assert not find_things([ThingConfig(name="block", color=BLUE)], picture, None, STRAIGHT, camera_above()), (
        "no distance"
    )


def test_a_color_without_depth_needs_the_height_and_red_wraps_around() -> None:
    picture, _ = ball_at(PLACE, camera_above(), (220, 30, 40))
    found = find_things([ThingConfig(name="target", color=RED)], picture, None, STRAIGHT, camera_above())
    assert 1000 * np.linalg.norm(found["target"][:3] - PLACE) < 4


def test_a_speck_is_noise() -> None:
    picture, depth = ball_at(PLACE, camera_above(), (120, 120, 120))
    picture[100:105, 100:105] = (30, 60, 220)
    assert not find_things([ThingConfig(name="block", color=BLUE)], picture, depth, STRAIGHT, camera_above())


def test_poses_and_matrices_are_inverse() -> None:
    pose = np.array([0.1, 0.2, 0.3, *Rotation.from_rotvec([0.3, -0.2, 0.9]).as_quat()])
    np.testing.assert_allclose(matrix_to_pose(pose_to_matrix(pose)), pose)


def test_an_unknown_dictionary_is_refused_with_a_proposal() -> None:
    with pytest.raises(VarlError, match="did you mean 'apriltag_36h11'"):
        MarkerConfig.from_dict({"dictionary": "apriltag_36h12", "id": 1, "size": 0.05}, "perception.yaml")


def test_the_file_in_config_loads() -> None:
    assert [thing.name for thing in PerceptionConfig.from_yaml(config_folder() / "perception.yaml").things] == ["block"]
