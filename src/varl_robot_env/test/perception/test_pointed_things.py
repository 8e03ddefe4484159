"""When a model is asked, when a localiser is taught, and when it is let go."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_robot_env.perception import pointed_things
from varl_robot_env.perception.kept_pointings import KeptPointings
from varl_robot_env.perception.localiser import Pointing, Sighting
from varl_robot_env.perception.localiser_config import LocaliserConfig
from varl_robot_env.perception.pointed_things import PointedThings, Shown
from varl_robot_env.types import Array, Image

PICTURE = np.zeros((240, 320, 3), np.uint8)
HERE, THERE = np.array([100.0, 100.0]), np.array([200.0, 100.0])
CONFIG = LocaliserConfig(every=1.0, check_every=30.0, first=10, most=40)


class Taught:
    """Stands in for a localiser: sees the thing where most pointings that it was taught by have it."""

    confidence = 0.5

    def __init__(self, pointings: Sequence[Pointing]) -> None:
        self.count = len(pointings)
        self.place = np.median([one.pixels["block"] for one in pointings], axis=0)

    def find(self, rgb: Image) -> Mapping[str, Sighting]:
        return {"block": Sighting(self.place, 0.9)}


class Teacher:
    """In the place of :func:`teach`; waits while it is told to."""

    def __init__(self) -> None:
        self.lessons: list[int] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, names: Sequence[str], pointings: Sequence[Pointing], stopped: Callable[[], bool]) -> Any:
        self.lessons.append(len(pointings))
        while not self.go_on.wait(0.01):
            if stopped():
                return None
        return Taught(pointings)


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> Teacher:
    teacher = Teacher()
    monkeypatch.setattr(pointed_things, "teach", teacher)
    return teacher


@pytest.fixture
def follow(teacher: Teacher) -> Iterator[Callable[..., PointedThings]]:
    made: list[PointedThings] = []

    def make(folder: Path | None = None, config: LocaliserConfig = CONFIG) -> PointedThings:
        made.append(PointedThings(["block"], config, folder))
        return made[-1]

    yield make
    for one in made:
        one.close()


def tell(things: PointedThings, pixel: Array | None, times: int) -> None:
    """The model is shown so many pictures and points there; lessons are waited for."""
    for _ in range(times):
        things.told(Shown(PICTURE, things.find(PICTURE) or None), {"block": pixel})
        if things._teaching is not None:
            things._teaching.result(30)


def test_it_is_taught_by_the_first_and_again_by_twice_as_many(
    follow: Callable[..., PointedThings], teacher: Teacher
) -> None:
    things = follow()
    tell(things, HERE, 9)
    assert not things.find(PICTURE)
    assert "9 of 10" in things.status
    tell(things, HERE, 1)
    assert np.array_equal(things.find(PICTURE)["block"].pixel, HERE)
    tell(things, HERE, 60)
    assert teacher.lessons == [10, 20, 40]


def test_pictures_are_shown_often_until_there_are_enough_and_then_now_and_then(
    follow: Callable[..., PointedThings],
) -> None:
    things = follow()
    times = [now for now in np.arange(0.0, 10.0, 0.1) if things.due(PICTURE, float(now))]
    assert len(times) == 10
    tell(things, HERE, 40)
    times = [now for now in np.arange(10.0, 100.0, 0.1) if things.due(PICTURE, float(now))]
    assert len(times) == 3


def test_a_localiser_that_the_model_contradicts_is_let_go_and_another_is_taught(
    follow: Callable[..., PointedThings], teacher: Teacher, caplog: pytest.LogCaptureFixture
) -> None:
    things = follow()
    tell(things, HERE, 40)
    tell(things, THERE, 3)
    assert things.find(PICTURE), "a model slips"
    tell(things, THERE, 1)
    assert not things.find(PICTURE), "lost, rather than where the model does not see it"
    assert "taught again" in caplog.text
    tell(things, THERE, 10)
    assert np.array_equal(things.find(PICTURE)["block"].pixel, THERE), "what was told before is not taught again"
    assert teacher.lessons[-1] == 10


def test_slips_of_the_model_now_and_then_change_nothing(follow: Callable[..., PointedThings]) -> None:
    things = follow()
    tell(things, HERE, 40)
    for _ in range(20):
        tell(things, THERE, 1)
        tell(things, HERE, 4)
        assert things.find(PICTURE)


def test_what_is_let_go_while_it_is_taught_never_sees(follow: Callable[..., PointedThings], teacher: Teacher) -> None:
    things = follow()
    tell(things, HERE, 10)
    things.find(PICTURE)
    teacher.go_on.clear()
    for pixel in [HERE] * 10 + [THERE] * 4:  # the second lesson has begun, and the scene changes
        things.told(Shown(PICTURE, things.find(PICTURE)), {"block": pixel})
    assert not things.find(PICTURE)
    lesson = things._teaching
    assert lesson is not None
    teacher.go_on.set()
    lesson.result(30)
    assert not things.find(PICTURE)
    tell(things, THERE, 10)
    assert np.array_equal(things.find(PICTURE)["block"].pixel, THERE)


def test_a_node_that_starts_again_asks_for_nothing_twice(
    follow: Callable[..., PointedThings], teacher: Teacher, tmp_path: Path
) -> None:
    tell(follow(tmp_path), HERE, 25)
    (tmp_path / "00000007.npz").write_bytes(b"half of a file")
    again = follow(tmp_path)
    assert again._teaching is not None
    again._teaching.result(30)
    assert np.abs(again.find(PICTURE)["block"].pixel - HERE).max() < 1e-9
    assert teacher.lessons[-1] == 24


def test_of_what_is_kept_the_oldest_goes_and_nothing_foreign_comes(tmp_path: Path) -> None:
    kept = KeptPointings(["block"], 5, tmp_path)
    for number in range(12):
        kept.add(Pointing(PICTURE, {"block": None if number % 2 else np.array([number, 1.0]), "another": HERE}))
    assert len(list(tmp_path.iterdir())) == 5
    assert [one.pixels["block"] is None for one in KeptPointings(["block"], 5, tmp_path)] == [True, False] * 2 + [True]
    assert all(one.pixels.keys() == {"block"} for one in KeptPointings(["block"], 5, tmp_path))
    np.savez(tmp_path / "99.npz", jpeg=np.array([object()], dtype=object), allow_pickle=True)
    assert len(KeptPointings(["block"], 9, tmp_path)) == 5


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, follow: Callable[..., PointedThings]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VarlError, match="name one you may write"):
        follow(tmp_path / "file" / "below")
