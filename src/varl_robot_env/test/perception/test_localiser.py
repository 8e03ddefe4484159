"""A localiser taught by few, noisy pointings finds what it was taught, and says that it is lost elsewhere."""

import numpy as np
import pytest
from varl_robot_env.perception.localiser import Localiser, Pointing
from varl_robot_env.perception.teaching import teach

from .drawn_things import NAMES, draw, pointings

pytestmark = pytest.mark.timeout(600)  # on a loaded machine teaching takes minutes
NOISE = 5.4  # pixels per axis: 2 % of the width in the median
FEW = 180  # steps: of 300 that a node takes


@pytest.fixture(scope="module")
def taught() -> Localiser:
    """By pointings that are noisy and now and then anywhere."""
    localiser = teach(NAMES, told(), steps=FEW)
    assert localiser is not None
    return localiser


def told() -> list[Pointing]:
    return pointings(50, np.random.default_rng(0), NOISE, slips=0.05)


def test_it_finds_the_things_better_than_the_model_points(taught: Localiser) -> None:
    rng, off = np.random.default_rng(1), []
    for _ in range(40):
        picture, pixels = draw(rng)
        found = taught.find(picture)
        off += [np.linalg.norm(found[name].pixel - pixels[name]) if name in found else np.inf for name in NAMES]
    assert np.median(off) < 4, "a single pointing is 6.4 pixels off"
    assert np.isfinite(off).mean() > 0.9
    assert np.mean(np.array(off) > 20) < 0.15


def test_it_sees_nothing_to_one_side_of_where_the_model_points(taught: Localiser) -> None:
    for name in NAMES:
        offsets = [one.pixels[name] - seen[name].pixel for one in told() if name in (seen := taught.find(one.rgb))]
        meant = [offset for offset in offsets if np.linalg.norm(offset) <= 24]
        assert len(meant) > 30
        assert np.abs(np.mean(meant, axis=0)).max() < 0.01
    assert np.abs(taught.offsets).max() > 0.1


def test_it_is_lost_about_what_is_hidden_or_not_there(taught: Localiser) -> None:
    rng, seen = np.random.default_rng(2), []
    for number in range(40):
        picture, _ = draw(rng, absent=NAMES) if number % 2 else draw(rng, hidden=True)
        seen.append(len(taught.find(picture)))
    assert np.mean(np.array(seen) > 0) < 0.15
    assert not taught.find(np.full((240, 320, 3), 128, np.uint8))


def test_of_one_thing_it_tells_without_the_other(taught: Localiser) -> None:
    rng = np.random.default_rng(3)
    found = [taught.find(draw(rng, absent=("box",))[0]).keys() for _ in range(20)]
    assert sum("disc" in names for names in found) > 17
    assert sum("box" in names for names in found) < 3


def test_pixels_are_those_of_the_picture_at_any_size(taught: Localiser) -> None:
    picture, _ = draw(np.random.default_rng(4))
    small = taught.find(picture)["disc"].pixel
    double = np.repeat(np.repeat(picture, 2, axis=0), 2, axis=1)
    assert np.abs(taught.find(double)["disc"].pixel - (2 * small + 0.5)).max() < 0.1


@pytest.mark.parametrize("size", [(480, 640), (135, 240), (77, 320)])
def test_any_camera_teaches(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    said = [Pointing(rng.integers(0, 255, (*size, 3), np.uint8), {"disc": np.array([30.0, 40.0])}) for _ in range(9)]
    odd = Pointing(np.zeros((9, 9, 3), np.uint8), {"disc": None})  # of another camera
    localiser = teach(["disc", "never told of"], [odd, *said], steps=4)
    assert localiser is not None
    seen = localiser.look(said[0].rgb)
    assert all(np.isfinite(one.pixel).all() and 0 <= one.confidence <= 1 for one in seen.values())


def test_the_same_pointings_teach_the_same_and_teaching_can_be_stopped() -> None:
    few = pointings(8, np.random.default_rng(0))
    one, other = (teach(NAMES, few, steps=4) for _ in range(2))
    assert one is not None
    assert other is not None
    for name, sighting in one.look(few[0].rgb).items():
        assert np.array_equal(sighting.pixel, other.look(few[0].rgb)[name].pixel)
    assert teach(NAMES, few, stopped=lambda: True) is None
