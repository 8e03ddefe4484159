"""What a camera_info says is read, or refused in a sentence: never half of it."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header
from varl_common.errors import VarlError
from varl_robot_env.perception.camera_model import CameraModel
from varl_robot_env.ros.camera_info import camera_info, camera_model, check_size

K = np.array([[600.0, 0.0, 320.0], [0.0, 610.0, 240.0], [0.0, 0.0, 1.0]])
TOPIC = "camera/color/image_raw"
LENSES = {
    "none": CameraModel(640, 480, K),
    "plumb_bob": CameraModel(640, 480, K, np.array([0.1, -0.2, 0.001, 0.002, 0.3])),
    "rational_polynomial": CameraModel(640, 480, K, np.linspace(0.1, 0.8, 8)),
    "equidistant": CameraModel(640, 480, K, np.array([0.1, 0.2, 0.3, 0.4]), fisheye=True),
}


def info(**fields: Any) -> CameraInfo:
    """A camera_info of a straight lens, but for ``fields``."""
    message = camera_info(LENSES["none"], Header())
    for name, value in fields.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize("lens", LENSES.values(), ids=list(LENSES))
def test_a_lens_comes_back_whole(lens: CameraModel) -> None:
    back = camera_model(camera_info(lens, Header()), TOPIC)
    assert (back.width, back.height, back.fisheye) == (lens.width, lens.height, lens.fisheye)
    np.testing.assert_array_equal(back.k, lens.k)
    np.testing.assert_array_equal(back.distortion, lens.distortion)


@pytest.mark.parametrize("k", [[0.0] * 9, [np.nan] * 9, [-600.0, *K.ravel()[1:]]])
def test_a_camera_without_a_calibration_is_uncalibrated(k: list[float]) -> None:
    with pytest.raises(VarlError, match="is uncalibrated: K of its camera_info"):
        camera_model(info(k=k), TOPIC)


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("inverse_brown_conrady", [0.1] * 5),
        ("", [0.1] * 5),
        ("plumb_bob", [0.1, 0.2]),
        ("equidistant", [0.1] * 5),
        ("rational_polynomial", [0.1] * 5),
        ("plumb_bob", [np.nan] * 5),
    ],
)
def test_a_lens_that_is_not_known_is_refused(model: str, d: list[float]) -> None:
    with pytest.raises(VarlError, match="distortion"):
        camera_model(info(distortion_model=model, d=d), TOPIC)


def test_no_coefficients_are_a_straight_lens_whatever_its_name() -> None:
    assert not camera_model(info(distortion_model="", d=[]), TOPIC).bends
    assert not camera_model(info(distortion_model="none", d=[0.0] * 5), TOPIC).bends


def test_binning_and_a_region_of_interest_move_the_pixels() -> None:
    region = RegionOfInterest(x_offset=100, y_offset=40, width=400, height=300)
    model = camera_model(info(binning_x=2, binning_y=2, roi=region), TOPIC)
    assert (model.width, model.height) == (200, 150)
    np.testing.assert_allclose(model.k, [[300, 0, 110], [0, 305, 100], [0, 0, 1]])
    # The same point, in the picture of all pixels and in the small one.
    point = np.array([[0.1, 0.05, 1.0]])
    full = camera_model(info(), TOPIC).project(point)[0]
    np.testing.assert_allclose(model.project(point)[0], (full - [100, 40]) / 2)


def test_rectified_pictures_are_described_by_p() -> None:
    p = [500.0, 0.0, 310.0, 0.0, 0.0, 505.0, 235.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    message = info(p=p, distortion_model="plumb_bob", d=[0.1] * 5)
    rectified = camera_model(message, "camera/color/image_rect_color")
    assert not rectified.bends
    assert rectified.k[0, 0] == 500.0
    assert camera_model(message, TOPIC).k[0, 0] == 600.0
    with pytest.raises(VarlError, match="P of its camera_info"):
        camera_model(info(p=[0.0] * 12), "camera/image_rect")


def test_pictures_of_another_size_than_the_calibration_are_refused() -> None:
    check_size(camera_model(info(), TOPIC), 640, 480, TOPIC)
    check_size(camera_model(info(width=0, height=0), TOPIC), 640, 480, TOPIC)  # the driver does not say
    with pytest.raises(VarlError, match="1280x720 pixels, but its camera_info is of 640x480"):
        check_size(camera_model(info(), TOPIC), 1280, 720, TOPIC)


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("plumb_bob", [-5.0] * 5),
        ("plumb_bob", [1e30] * 5),
        ("rational_polynomial", [-5.0] * 8),
        ("rational_polynomial", [1e300] * 8),
        ("equidistant", [1e30] * 4),
    ],
)
def test_a_lens_that_nothing_straightens_is_refused(model: str, d: list[float]) -> None:
    with pytest.raises(VarlError, match="cannot be straightened"):
        camera_model(info(distortion_model=model, d=d), TOPIC)


@pytest.mark.parametrize("d", [[], [0.0] * 4, [0.0] * 5])
def test_an_equidistant_lens_without_coefficients_is_one_all_the_same(d: list[float]) -> None:
    lens = camera_model(info(distortion_model="equidistant", d=d), TOPIC)
    ahead = np.array([[0.5, 0.0, 1.0]])
    seen = lens.project(ahead)
    assert seen[0, 0] == pytest.approx(320 + 600 * np.arctan(0.5))
    np.testing.assert_allclose(lens.rays(seen), ahead, atol=1e-4)


@pytest.mark.parametrize(("element", "value"), [(1, 50.0), (3, 7.0), (6, 0.3), (8, 0.0), (8, 2.0)])
def test_a_matrix_of_another_form_is_refused(element: int, value: float) -> None:
    k = K.ravel().copy()
    k[element] = value
    with pytest.raises(VarlError, match="no matrix of a camera"):
        camera_model(info(k=k), TOPIC)
