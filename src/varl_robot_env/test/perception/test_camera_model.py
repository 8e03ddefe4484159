"""Lenses: what they bend is straightened to hundredths of a pixel."""

import numpy as np
import pytest
from varl_robot_env.perception.camera_model import CameraModel

K = np.array([[300.0, 0.0, 318.0], [0.0, 301.0, 242.0], [0.0, 0.0, 1.0]])
# A wide lens each: the corners of the picture are 45 degrees off the axis.
LENSES = {
    "straight": CameraModel(640, 480, K),
    "plumb_bob": CameraModel(640, 480, K, np.array([-0.15, 0.02, 0.001, -0.001, 0.0])),
    "rational_polynomial": CameraModel(640, 480, K, np.array([0.6, -0.2, 0.001, 0.0, 0.02, 0.7, -0.1, 0.01])),
    "equidistant": CameraModel(640, 480, K, np.array([-0.02, 0.01, -0.004, 0.001]), fisheye=True),
}


@pytest.mark.parametrize("lens", LENSES.values(), ids=list(LENSES))
def test_a_point_lies_on_the_line_of_sight_through_its_pixel(lens: CameraModel) -> None:
    points = np.stack([*np.meshgrid(np.linspace(-0.8, 0.8, 5), np.linspace(-0.6, 0.6, 5)), np.ones((5, 5))], -1)
    pixels = lens.project(points.reshape(-1, 3))
    off = K[0, 0] * np.abs(lens.rays(pixels) - points.reshape(-1, 3)).max()
    assert off < 0.05, f"{off:.3f} pixels"


@pytest.mark.parametrize("lens", LENSES.values(), ids=list(LENSES))
def test_a_straightened_picture_shows_things_where_a_straight_lens_does(lens: CameraModel) -> None:
    dot = np.array([[0.5, -0.4, 1.0]])
    bent, straight = lens.project(dot)[0], CameraModel(640, 480, K).project(dot)[0]
    rows, columns = np.mgrid[:480, :640]
    blob = 255 * np.exp(-((columns - bent[0]) ** 2 + (rows - bent[1]) ** 2) / 50.0)
    seen = lens.straighten_picture(blob.astype(np.float32))
    centre = np.array([(columns * seen).sum(), (rows * seen).sum()]) / seen.sum()
    np.testing.assert_allclose(centre, straight, atol=0.5)
    if lens.bends:
        assert np.linalg.norm(bent - straight) > 5, "the lens of this test bends nothing"
